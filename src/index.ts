import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { main } from './main.ts';

// V8 lets the space of young objects grow to 128 MB when much is under way at once, a third of the memory of a large
// deploy. It has 8 MB by now, which do as well.
setFlagsFromString('--semi-space-growth-factor=1');

const cancelled = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => cancelled.abort());

const succeeded = await main({
  env: process.env,
  pace: {
    now: () => performance.now(),
    sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
    random: Math.random,
  },
  signal: cancelled.signal,
  deploy: {
    startedAt: Date.now(),
    run: `${process.env.GITHUB_RUN_ID ?? 'local'}-${process.env.GITHUB_RUN_ATTEMPT ?? process.pid}`.replace(
      /[^\w.-]/g,
      '',
    ),
  },
});
// Sockets that are kept alive would keep the process too.
process.exit(succeeded ? 0 : 1);
