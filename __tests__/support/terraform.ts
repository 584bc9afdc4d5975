import { createRequire } from 'node:module';
import type { MadeRole } from './cloudformation.ts';

// biome-ignore-start lint/suspicious/noExplicitAny: a configuration is any HCL; what is wrong with it shows in a test
type Block = Record<string, any>;
// biome-ignore-end lint/suspicious/noExplicitAny: as above

/** HashiCorp's own parser. Its types would bring those of a browser into every test, so they are said here. */
const { parse } = createRequire(import.meta.url)('@cdktf/hcl2json') as {
  parse(filename: string, text: string): Promise<Block>;
};

/**
 * The role that a Terraform configuration makes in an account. The parser leaves expressions as they are; those
 * that the configuration may hold are carried out here.
 * @throws Error for what is no HCL, and for whatever the configuration refers to and does not have.
 */
export async function roleInTerraform(text: string, account: string): Promise<MadeRole> {
  const { resource, data, output } = await parse('role.tf', text);
  const role: Block = only(resource.aws_iam_role);
  const policy: Block = only(resource.aws_iam_role_policy);
  const provider: Block = only(resource.aws_iam_openid_connect_provider);
  only(data.aws_caller_identity);
  const reference = /^\$\{(\w+)\.(\w+)\.(id|arn)\}$/;
  for (const expression of [policy.role, only<Block>(output).value]) {
    const [, type = '', name = ''] = reference.exec(expression) ?? [];
    if (resource[type]?.[name] === undefined) throw new Error(`There is no ${expression}`);
  }
  const known = { '${data.aws_caller_identity.current.account_id}': account };
  return {
    role: {
      name: evaluate(role.name, {}),
      trust: await jsonencoded(role.assume_role_policy, known),
      permissions: await jsonencoded(policy.policy, known),
    },
    provider: {
      url: evaluate(provider.url, {}),
      audiences: provider.client_id_list.map((id: string) => evaluate(id, {})),
    },
  };
}

/** The one block of a type, whatever its name. */
function only<T>(blocks: Record<string, T[]>): T {
  const [[block, ...more] = [], ...others] = Object.values(blocks);
  if (block === undefined || more.length + others.length > 0) throw new Error('Expected one block');
  return block;
}

/** The value in `jsonencode(…)`. */
async function jsonencoded(expression: string, known: Record<string, string>): Promise<unknown> {
  const [, argument] = /^\$\{jsonencode\((.*)\)\}$/s.exec(expression) ?? [];
  const { value } = await parse('value.tf', `value = ${argument}`);
  return evaluated(value, known);
}

function evaluated(value: unknown, known: Record<string, string>): unknown {
  if (typeof value === 'string') return evaluate(value, known);
  if (Array.isArray(value)) return value.map((item) => evaluated(item, known));
  return Object.fromEntries(Object.entries(value as Block).map(([key, member]) => [key, evaluated(member, known)]));
}

/** A template with its references filled in and its escapes (`$${`, `%%{`) taken back; no other expression is known. */
function evaluate(template: string, known: Record<string, string>): string {
  return template.replace(/([$%])\1\{|[$%]\{[^}]*\}/g, (match, doubled?: string) => {
    if (doubled !== undefined) return `${doubled}{`;
    if (!Object.hasOwn(known, match)) throw new Error(`There is no ${match}`);
    return known[match]!;
  });
}
