import { parseArgs } from 'node:util';

const HELP = `What a deploy costs beside other tools, and which goals that meets.

  npm run bench -- --quick             a selection, in about a minute
  npm run bench -- --only <row,...>    these rows alone; --list names them
  npm run bench -- --tools <tool,...>  these tools alone, and in every row
  --rounds <n>        so many rounds of each row
  --against <dist>    another build of the action too, by its index.js: "before" in the tables
  --profile <folder>  profiles ours there, and prints where its time goes
  --ms <n>            milliseconds that a request takes (30)
  --list-ms <n>       milliseconds that a page of a listing takes (100)
  --concurrency <n>   what ours is given as the input; default its own
  --verify            the store holds what arrives against the SHA-256 that signs it too
  --install           installs peers from npm, in .cache/bench
  --write             writes the tables into docs/performance.md
  --list              names rows and tools, and ends`;

/** What a bench is asked for. */
export type Options = ReturnType<typeof readOptions>;

export function readOptions(argv: string[]) {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      tools: { type: 'string' },
      rounds: { type: 'string' },
      against: { type: 'string' },
      profile: { type: 'string' },
      ms: { type: 'string', default: '30' },
      'list-ms': { type: 'string', default: '100' },
      concurrency: { type: 'string' },
      verify: { type: 'boolean', default: false },
      install: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    process.exit();
  }
  return {
    ...values,
    only: values.only?.split(','),
    tools: values.tools?.split(',').map((name) => name.trim()),
    rounds: values.rounds === undefined ? undefined : Number(values.rounds),
    pace: { ms: Number(values.ms), listMs: Number(values['list-ms']) },
  };
}
