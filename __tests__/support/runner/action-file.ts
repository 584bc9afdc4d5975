import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { load } from 'js-yaml';

interface ActionFile {
  inputs?: Record<string, { default?: unknown; required?: boolean } | null>;
  outputs?: Record<string, unknown>;
  runs: { using: string; main: string };
}

/** An action.yml, as far as the runner needs it to start a step. */
export interface Action {
  /** Script to run, absolute. */
  main: string;
  using: string;
  /** Default of every declared input, unevaluated; an input without one has ''. */
  inputs: Record<string, string>;
  outputs: string[];
}

/** Reads the action.yml of a folder. */
export async function readAction(folder: string): Promise<Action> {
  const file = load(await readFile(path.join(folder, 'action.yml'), 'utf8')) as ActionFile;
  const inputs = Object.entries(file.inputs ?? {}).map(([name, input]) => [name, String(input?.default ?? '')]);
  return {
    main: path.join(folder, file.runs.main),
    using: file.runs.using,
    inputs: Object.fromEntries(inputs),
    outputs: Object.keys(file.outputs ?? {}),
  };
}

/**
 * The `INPUT_*` variables of a step: the values that it gives in `with:`, defaults for the others.
 *
 * @throws on an input that is not declared. The runner only warns, but in a test it is a slip.
 */
export function inputEnvironment(
  action: Action,
  given: Record<string, string | boolean | number>,
  env: Record<string, string>,
): Record<string, string> {
  const names = new Map(Object.keys(action.inputs).map((name) => [name.toLowerCase(), name]));
  const values: Record<string, string> = { ...action.inputs };
  for (const name of Object.keys(values)) values[name] = evaluate(values[name]!, env);
  for (const [name, value] of Object.entries(given)) {
    const declared = names.get(name.toLowerCase());
    if (declared === undefined) throw new Error(`action.yml declares no input '${name}'.`);
    values[declared] = String(value);
  }
  const pairs = Object.entries(values).map(([name, value]) => [
    `INPUT_${name.replaceAll(' ', '_').toUpperCase()}`,
    value,
  ]);
  return Object.fromEntries(pairs);
}

/** Evaluates `${{ github.name }}` and `${{ runner.name }}`, which is all that a default can reasonably hold. */
function evaluate(text: string, env: Record<string, string>): string {
  return text.replace(/\$\{\{(.*?)\}\}/g, (expression, inner: string) => {
    const variable = inner.trim().replace('.', '_').toUpperCase();
    const value = /^\s*(github|runner)\.\w+\s*$/.test(inner) ? env[variable] : undefined;
    if (value === undefined) throw new Error(`A default holds an expression that is unknown here: ${expression}`);
    return value;
  });
}
