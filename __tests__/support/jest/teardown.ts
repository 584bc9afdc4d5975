import { rmSync } from 'node:fs';

/** Removes the temporary folder that the setup made, with all that the tests left in it. */
export default function teardown(): void {
  const { TMPDIR: folder } = process.env;
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}
