import { BlockList, isIPv6 } from 'node:net';
import type { PolicyStatement } from '../test-cloud.ts';
import { type Context, matchesPattern, type PatternOptions } from './patterns.ts';

type Test = (pattern: string, value: string, options: PatternOptions) => boolean;

const equals: Test = (p, v, o) => matchesPattern(p, v, { ...o, wildcards: false });
const like: Test = (p, v, o) => matchesPattern(p, v, o);
const number =
  (compare: (value: number, limit: number) => boolean): Test =>
  (p, v) =>
    v.trim() !== '' && !Number.isNaN(Number(v)) && compare(Number(v), Number(p));
const time = (text: string) => (/^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text));
const date =
  (compare: (value: number, limit: number) => boolean): Test =>
  (p, v) =>
    compare(time(v), time(p));

function inRange(range: string, address: string): boolean {
  const [net = '', bits] = range.split('/');
  const family = isIPv6(net) ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  if (bits === undefined) list.addAddress(net, family);
  else list.addSubnet(net, Number(bits), family);
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** Each operator as its positive test; `negated` ones hold when no value of the policy passes it. */
const OPERATORS: Record<string, { test: Test; negated?: boolean }> = {
  StringEquals: { test: equals },
  StringNotEquals: { test: equals, negated: true },
  StringEqualsIgnoreCase: { test: (p, v, o) => equals(p, v, { ...o, ignoreCase: true }) },
  StringNotEqualsIgnoreCase: { test: (p, v, o) => equals(p, v, { ...o, ignoreCase: true }), negated: true },
  StringLike: { test: like },
  StringNotLike: { test: like, negated: true },
  // IAM treats the two alike: ArnEquals knows wildcards as well.
  ArnEquals: { test: like },
  ArnLike: { test: like },
  ArnNotEquals: { test: like, negated: true },
  ArnNotLike: { test: like, negated: true },
  NumericEquals: { test: number((v, l) => v === l) },
  NumericNotEquals: { test: number((v, l) => v === l), negated: true },
  NumericLessThan: { test: number((v, l) => v < l) },
  NumericLessThanEquals: { test: number((v, l) => v <= l) },
  NumericGreaterThan: { test: number((v, l) => v > l) },
  NumericGreaterThanEquals: { test: number((v, l) => v >= l) },
  DateLessThan: { test: date((v, l) => v < l) },
  DateLessThanEquals: { test: date((v, l) => v <= l) },
  DateGreaterThan: { test: date((v, l) => v > l) },
  DateGreaterThanEquals: { test: date((v, l) => v >= l) },
  Bool: { test: (p, v) => p.toLowerCase() === v.toLowerCase() },
  IpAddress: { test: inRange },
  NotIpAddress: { test: inRange, negated: true },
};

const OPERATOR = /^(?:(ForAnyValue|ForAllValues):)?(.+?)(IfExists)?$/;

/** Whether a name is an operator that IAM has. */
export function isOperator(name: string): boolean {
  const [, set, base = '', ifExists] = OPERATOR.exec(name) ?? [];
  return base === 'Null' ? !set && !ifExists : base in OPERATORS;
}

const list = <T>(value: T | T[] | undefined): T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

/**
 * Whether all conditions of a statement hold. A key that the request does not have fails a positive operator and
 * passes a negated one, as IAM documents:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 */
export function conditionsHold(condition: PolicyStatement['Condition'], context: Context, variables = true): boolean {
  for (const [operator, keys] of Object.entries(condition ?? {})) {
    for (const [key, wanted] of Object.entries(keys)) {
      if (!holds(operator, list(wanted), context[key.toLowerCase()], { context, variables })) return false;
    }
  }
  return true;
}

function holds(name: string, wanted: string[], value: Context[string], options: PatternOptions): boolean {
  const [, set, base = '', ifExists] = OPERATOR.exec(name) ?? [];
  const present = value !== undefined;
  if (base === 'Null') return wanted.some((w) => (String(w).toLowerCase() === 'true') === !present);
  const operator = OPERATORS[base];
  if (!operator) return false;
  if (!present) {
    if (set === 'ForAnyValue') return Boolean(ifExists);
    return Boolean(ifExists) || set === 'ForAllValues' || Boolean(operator.negated);
  }
  const passes = (one: string) =>
    wanted.some((pattern) => operator.test(String(pattern), one, options)) !== Boolean(operator.negated);
  // A multi-valued key without a set operator is a policy's mistake; IAM then looks at each value.
  return set === 'ForAllValues' ? list(value).every(passes) : list(value).some(passes);
}
