import { type Prefix, toKey } from './core/key.ts';
import { assetsOf, nameOf, type Shard, shareOf } from './core/shard.ts';
import { bytes, count, plain } from './core/text.ts';
import { DeployError } from './errors.ts';
import type { Inputs } from './inputs.ts';
import { log } from './report/log.ts';
import type { Report } from './report/report.ts';
import { NO_SOURCE, type Source, scanSource, sourceExists } from './site/scan.ts';

/**
 * Reads which files the source has. Nothing is asked of anybody before this, so a build that is missing costs no request.
 * @throws DeployError EMPTY_SOURCE when a deploy with `delete` would remove everything, else SOURCE_INVALID.
 */
export async function readSource(inputs: Inputs, report: Report): Promise<Source> {
  const folder = inputs.sourceDir ?? '.';
  const missing = !sourceExists(folder);
  const deletes = inputs.delete !== 'off';
  const mayBeEmpty = deletes || inputs.allowEmptySource;
  const source = missing && mayBeEmpty ? NO_SOURCE : scanSource(folder, inputs.filter, inputs.destination.prefix);
  if (source.files.length === 0 && !inputs.allowEmptySource) throw nothingToDeploy(inputs, missing);
  report.scanned(source.files);
  log.line(describeSource(source, inputs.sourceName));
  return inputs.shard === undefined ? source : shareIn(source, inputs.shard, inputs.destination.prefix);
}

/** The source as a shard sees it: its share of the assets. */
function shareIn(source: Source, shard: Shard, prefix: Prefix): Source {
  const assets = assetsOf(source.files);
  const files = shareOf(assets, shard);
  const share = files.length.toLocaleString('en');
  log.line(
    `${nameOf(shard)}: ${share} of ${count(assets.length, 'asset')}; pages, manifest and deletions are left to a last run without shard`,
  );
  return { ...source, files, keys: files.map(({ path }) => toKey(prefix, path)) };
}

function nothingToDeploy(inputs: Inputs, missing: boolean): DeployError {
  const problem = `source-dir: ${plain(inputs.sourceName)} ${missing ? 'does not exist' : 'holds no file to deploy'}.`;
  if (inputs.delete === 'off') {
    return new DeployError('SOURCE_INVALID', problem, {
      hint: 'Check source-dir, include and exclude, and that the build ran before this step.',
    });
  }
  return new DeployError('EMPTY_SOURCE', problem, {
    hint:
      'With delete this would remove the whole site. If that is meant, set allow-empty-source: true; otherwise check ' +
      'source-dir and the build.',
  });
}

function describeSource({ files, links, excluded, leftOut }: Source, name: string): string {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const aside = [
    excluded > 0 ? `${excluded} excluded` : '',
    leftOut > 0 ? `${leftOut} left out (secrets, version control)` : '',
    links > 0 ? `${count(links, 'symbolic link')} not followed` : '',
  ].filter(Boolean);
  return `${count(files.length, 'file')} (${bytes(size)}) in ${name}${aside.length === 0 ? '' : `; ${aside.join(', ')}`}`;
}
