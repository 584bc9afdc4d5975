import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives a run of the tests a temporary folder of its own, in which whatever they leave behind is gone with it. */
export default function setup(): void {
  process.env.TMPDIR = mkdtempSync(join(tmpdir(), 'tests-'));
}
