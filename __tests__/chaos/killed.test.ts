import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { eachOf } from '../../src/core/each-of.ts';
import { figure, LONG, missingAssets, sized, upTo } from '../support/chaos.ts';
import { type LoopbackCloud, startCloud } from '../support/cloud/cloud.ts';
import { MANIFEST, OWNER, Stage } from '../support/deploys.ts';
import { Site } from '../support/site.ts';
import type { StoredObject } from '../support/test-cloud.ts';

const MIB = 1024 ** 2;
type Files = Record<string, string | Buffer>;

/** A page whose text is all that it names: each asset begins with its own key. */
const page = (...assets: string[]) => assets.map((key) => `<script src=${key}></script>`).join('');
const asset = (key: string, more = '') => `${key} ${more}`;

/** A version of a site below `folder`, whose pages name assets of this version and some of all. */
function version(v: string, folder = ''): Files {
  const keys = [`${folder}app.${v}.js`, `${folder}css/style.${v}.css`, `${folder}logo.svg`];
  const [app = '', style = '', logo = ''] = keys;
  return {
    'index.html': page(app, style, logo) + v,
    'about/index.html': page(app, logo) + v,
    'blog/2026/11/index.html': page(style) + v,
    'feed.xml': `<feed>${v}</feed>`,
    ...Object.fromEntries(keys.map((key) => [key.slice(folder.length), asset(key)])),
  };
}

/** Assets so large that they go up in parts; each begins with its own key. */
function movies(v: string): Files {
  const key = `movie.${v}.mp4`;
  return {
    'index.html': page(key, `app.${v}.js`),
    [key]: Buffer.concat([Buffer.from(key), Buffer.alloc(11 * MIB, v)]),
    [`app.${v}.js`]: asset(`app.${v}.js`),
  };
}

interface Layout {
  one: Files;
  two: Files;
  /** Inputs of every deploy of the layout. */
  inputs?: Record<string, string>;
  /** More inputs of the deploys of the second version. */
  change?: Record<string, string>;
  /** Behind AWS's own names, where pages are put on a condition. */
  aws?: boolean;
  /** The first version was put there by something else, without a manifest. */
  foreign?: boolean;
  /** The store knows no batches. */
  oneByOne?: boolean;
}

const many = Object.fromEntries(
  upTo(6).flatMap((n) => [
    [`gone/${n}.html`, page(`gone/a${n}.js`, `gone/tab\t${n}.js`.replace('\t', '-'))],
    [`gone/a${n}.js`, asset(`gone/a${n}.js`)],
    [`gone/tab-${n}.js`, asset(`gone/tab-${n}.js`)],
  ]),
);

const LAYOUTS: Record<string, Layout> = {
  flat: { one: { ...version('v1') }, two: { ...version('v2') }, inputs: { delete: 'true' } },
  'nested below a prefix': {
    one: version('v1', 'docs/en/'),
    two: version('v2', 'docs/en/'),
    inputs: { prefix: 'docs/en', delete: 'true' },
  },
  'assets in parts': { one: movies('v1'), two: movies('v2'), inputs: { 'part-size': '5MiB', delete: 'true' } },
  'headers only': {
    one: version('v1'),
    two: version('v1'),
    change: { headers: "'**':\n  Cache-Control: public, max-age=60" },
  },
  'many deletions': {
    one: { ...version('v1'), ...many, 'line\nbreak.css': 'x', 'nul\x01.css': 'x' },
    two: version('v2'),
    inputs: { delete: 'true', 'max-delete': '100%' },
  },
  'deletions one by one': {
    one: { ...version('v1'), ...many },
    two: version('v2'),
    inputs: { delete: 'owned', 'max-delete': '100%' },
    oneByOne: true,
  },
  'a time of grace': { one: version('v1'), two: version('v2'), inputs: { delete: 'true', 'delete-grace': '7d' } },
  'another tool before us': { one: version('v1'), two: version('v2'), inputs: { delete: 'true' }, foreign: true },
  'AWS, on conditions': { one: version('v1'), two: version('v2'), inputs: { delete: 'true' }, aws: true },
};

describe('killed at any request', () => {
  const clouds: Record<'loopback' | 'aws', LoopbackCloud> = {} as never;
  let points = 0;
  beforeAll(async () => {
    clouds.loopback = await startCloud();
    clouds.aws = await startCloud({ hosts: 'aws' });
  });
  afterAll(async () => {
    figure(`killed: ${points} points, each with the request carried out and not`);
    await Promise.all(Object.values(clouds).map((cloud) => cloud.close()));
  });
  afterEach(() => {
    for (const cloud of Object.values(clouds)) {
      cloud.faults.clear();
      cloud.clearRequests();
    }
  });

  const chosen = Object.entries(LAYOUTS).slice(0, sized(1, 100));
  test.each(chosen)(
    '%s: the site works, and the next run sends what is missing',
    async (_, layout) => {
      const cloud = clouds[layout.aws ? 'aws' : 'loopback'];
      const inputs = { ...layout.inputs, ...(layout.aws && { endpoint: '', 'sts-endpoint': '' }) };
      const env = layout.aws ? { ...cloud.awsEnvironment(), ...cloud.github.jobEnvironment() } : {};
      const prefix = layout.inputs?.prefix === undefined ? '' : `${layout.inputs.prefix}/`;
      const [one, two] = [new Site(layout.one), new Site(layout.two)];
      const second = { ...inputs, ...layout.change };

      // Version 1 is deployed once, and laid into the bucket of every point as it came out.
      const first = await Stage.withRole(cloud, OWNER, { site: one });
      if (layout.foreign) for (const [path, body] of Object.entries(layout.one)) await first.put(path, body);
      else expect((await first.run(inputs, { env })).exitCode).toBe(0);
      const wanted = await Stage.withRole(cloud, OWNER, { site: one });
      lay(first, wanted, cloud);
      expect((await wanted.run(second, { env, workspace: two.workspace })).exitCode).toBe(0);
      const goal = withoutManifest(await cloud.objects(wanted.bucket));

      let ended = false;
      await eachOf(upTo(LONG ? 100 : 8), 4, async (nth) => {
        for (const applied of [true, false]) {
          if (ended) return;
          const name = `request ${nth}, ${applied ? 'carried out' : 'not carried out'}`;
          const stage = await Stage.withRole(cloud, OWNER, { site: two });
          lay(first, stage, cloud);
          if (layout.oneByOne) {
            const answer = { kind: 'error', status: 501, code: 'NotImplemented' } as const;
            cloud.faults.add({ bucket: stage.bucket, operation: 'DeleteObjects', times: Infinity, answer });
          }
          const { promise: silent, resolve } = Promise.withResolvers<void>();
          cloud.faults.add({
            bucket: stage.bucket,
            after: nth - 1,
            answer: { kind: 'silence', applied, onReached: resolve },
          });
          const run = await stage.run(second, { env, signalAfter: { at: silent, signal: 'SIGKILL' } });
          if (run.signal === null) {
            ended = true;
            return;
          }
          points++;
          const there = withoutManifest(await cloud.objects(stage.bucket));
          expect([name, missingAssets(textsOf(there))]).toEqual([name, []]);

          const again = await stage.run(second, { env });
          expect([name, again.exitCode]).toEqual([name, 0]);
          const after = withoutManifest(await cloud.objects(stage.bucket));
          expect([name, different(after, goal)]).toEqual([name, []]);
          const missing = different(there, goal).filter((key) => goal.has(key));
          const sent: string[] = again.result.uploads.map(({ key }: { key: string }) => key);
          // Within the second of the manifest nobody can tell whether headers are applied; then they are, again, in place.
          const content = again.result.uploads.filter(({ reason }: { reason: string }) => reason !== 'headers');
          expect([name, missing.filter((key) => !sent.includes(key))]).toEqual([name, []]);
          expect([
            name,
            content.map(({ key }: { key: string }) => key).filter((key: string) => !missing.includes(key)),
          ]).toEqual([name, []]);
          cloud.deleteBucket(stage.bucket);
        }
      });
      expect([prefix, ended || !LONG]).toEqual([prefix, true]);
    },
    600_000,
  );

  if (LONG) test('at 300 points and more', () => expect(points).toBeGreaterThanOrEqual(300));
});

/** Lays all that one stage's bucket holds into another's, the manifest and its time included. */
function lay(from: Stage, to: Stage, cloud: LoopbackCloud): void {
  const [source, target] = [cloud.bucket(from.bucket), cloud.bucket(to.bucket)];
  for (const key of source.keys()) {
    const object = source.live(key);
    if (object !== undefined) target.put(object);
  }
}

function withoutManifest(objects: Map<string, StoredObject>): Map<string, StoredObject> {
  return new Map([...objects].filter(([key]) => !MANIFEST.test(key)));
}

function textsOf(objects: Map<string, StoredObject>): Record<string, string> {
  return Object.fromEntries([...objects].map(([key, { body }]) => [key, body.subarray(0, 10_000).toString()]));
}

const SERVED = ['content-type', 'cache-control'];

/** The keys whose objects are not served alike. */
function different(some: Map<string, StoredObject>, others: Map<string, StoredObject>): string[] {
  return [...new Set([...some.keys(), ...others.keys()])].filter((key) => {
    const [a, b] = [some.get(key), others.get(key)];
    if (a === undefined || b === undefined || !a.body.equals(b.body)) return true;
    return SERVED.some((header) => a.headers[header] !== b.headers[header]);
  });
}
