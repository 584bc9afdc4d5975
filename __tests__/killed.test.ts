import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type LoopbackCloud, startCloud } from './support/cloud/cloud.ts';
import { OWNER, Stage } from './support/deploys.ts';
import { Site } from './support/site.ts';

let cloud: LoopbackCloud;
beforeAll(async () => {
  cloud = await startCloud();
});
afterAll(() => cloud.close());
afterEach(() => cloud.faults.clear());

/** A version whose pages name assets by content hash, as bundlers do; some assets are shared by all versions. */
const version = (v: string) => ({
  'index.html': `<script src=app.${v}.js></script><img src=logo.svg>`,
  'a/index.html': `<script src=../app.${v}.js></script>`,
  'b/index.html': `<link href=../style.${v}.css>`,
  [`app.${v}.js`]: `app ${v}`,
  [`style.${v}.css`]: `style ${v}`,
  'logo.svg': '<svg/>',
});

function missingAssets(bodies: Record<string, string>): string[] {
  return Object.entries(bodies).flatMap(([page, body]) =>
    [...body.matchAll(/(?:src|href)=(?:\.\.\/)?([\w.]+)/g)]
      .filter(([, asset = '']) => page.endsWith('.html') && bodies[asset] === undefined)
      .map(([, asset]) => `${page} → ${asset}`),
  );
}

test('killed at any request, every live page finds its assets, and the next run sends only what is missing', async () => {
  let points = 0;
  for (let nth = 1; ; nth++) {
    const stage = await Stage.withRole(cloud, OWNER, { site: new Site(version('v1')) });
    expect((await stage.run({ delete: 'true' })).exitCode).toBe(0);
    const next = new Site(version('v2'));
    const before = cloud.requests.length;
    cloud.faults.add({ bucket: stage.bucket, after: nth - 1, answer: { kind: 'silence', applied: nth % 2 === 0 } });
    const silent = new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (!cloud.requests.slice(before).some(({ fault }) => fault === 'silence')) return;
        clearInterval(timer);
        resolve();
      }, 2);
      timer.unref();
    });
    const run = await stage.run(
      { delete: 'true' },
      { workspace: next.workspace, signalAfter: { at: silent, signal: 'SIGKILL' } },
    );
    cloud.faults.clear();
    if (run.signal === null) break;
    points++;
    const there = await stage.bodies();
    expect([nth, missingAssets(there)]).toEqual([nth, []]);

    const again = await stage.run({ delete: 'true' }, { workspace: next.workspace });
    const wanted: Record<string, string> = version('v2');
    expect([nth, await stage.bodies()]).toEqual([nth, wanted]);
    const missing = Object.keys(wanted).filter((key) => there[key] !== wanted[key]);
    expect([nth, again.result.uploads.map(({ key }: { key: string }) => key).sort()]).toEqual([nth, missing.sort()]);
  }
  expect(points).toBeGreaterThanOrEqual(12);
}, 300_000);
