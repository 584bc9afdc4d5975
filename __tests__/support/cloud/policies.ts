import type { PolicyDocument, PolicyStatement } from '../test-cloud.ts';
import { conditionsHold, isOperator } from './conditions.ts';
import { type Context, matchesPattern } from './patterns.ts';

/** One thing somebody wants to do. */
export interface Question {
  /** `s3:PutObject` */
  action: string;
  /** `arn:aws:s3:::bucket/key` */
  resource: string;
  /** Keys in lower case. */
  context?: Context;
}

/** Who asks, for policies with a Principal: every ARN that stands for him, the most specific first. */
export interface Asker {
  arns: string[];
  /** Undefined for nobody in particular (anonymous, or a web identity). */
  account?: string;
  /** ARNs or hosts of identity providers. */
  federated?: string[];
}

const list = <T>(value: T | T[] | undefined): T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

function covers(statement: PolicyStatement, { action, resource, context = {} }: Question, variables: boolean): boolean {
  const acts = (names: string | string[]) =>
    list(names).some((name) => matchesPattern(name, action, { variables: false, ignoreCase: true }));
  const lies = (names: string | string[]) =>
    list(names).some((name) => matchesPattern(name, resource, { context, variables }));
  if (statement.Action !== undefined && !acts(statement.Action)) return false;
  if (statement.NotAction !== undefined && acts(statement.NotAction)) return false;
  if (statement.Resource !== undefined && !lies(statement.Resource)) return false;
  if (statement.NotResource !== undefined && lies(statement.NotResource)) return false;
  return conditionsHold(statement.Condition, context, variables);
}

/** How a Principal names the asker: himself (by ARN or as `*`), his whole account, or not at all. */
function names(principal: PolicyStatement['Principal'], asker: Asker): 'asker' | 'account' | undefined {
  if (principal === undefined) return undefined;
  if (principal === '*') return 'asker';
  const aws = list(principal.AWS);
  if (aws.some((name) => name === '*' || asker.arns.includes(name))) return 'asker';
  if (list(principal.Federated).some((name) => name === '*' || asker.federated?.includes(name))) return 'asker';
  const whole = asker.account && [asker.account, `arn:aws:iam::${asker.account}:root`];
  return whole && aws.some((name) => whole.includes(name)) ? 'account' : undefined;
}

export type Effect = 'allow' | 'deny' | 'none';

/** What documents of one kind say together: a Deny wins over any Allow, and silence is neither. */
export function evaluate(documents: readonly PolicyDocument[], question: Question): Effect {
  let effect: Effect = 'none';
  for (const document of documents) {
    for (const statement of list(document.Statement)) {
      if (!covers(statement, question, document.Version === '2012-10-17')) continue;
      if (statement.Effect === 'Deny') return 'deny';
      effect = 'allow';
    }
  }
  return effect;
}

/**
 * What a resource's policy says to the asker. `by` tells whether an Allow names him or only his account, which hands
 * the decision to the account's own policies instead of granting by itself.
 */
export function evaluateResource(
  document: PolicyDocument | undefined,
  question: Question,
  asker: Asker,
): { effect: Effect; by?: 'asker' | 'account'; principal?: PolicyStatement['Principal'] } {
  let found: ReturnType<typeof evaluateResource> = { effect: 'none' };
  for (const statement of list(document?.Statement)) {
    const by = names(statement.Principal, asker);
    if (!by || !covers(statement, question, document?.Version === '2012-10-17')) continue;
    if (statement.Effect === 'Deny') return { effect: 'deny' };
    if (found.by !== 'asker') found = { effect: 'allow', by, principal: statement.Principal };
  }
  return found;
}

/** The policies that bear on a request, by kind; absent means that there is none of the kind. */
export interface PolicySet {
  identity: readonly PolicyDocument[];
  boundary?: PolicyDocument | undefined;
  session?: readonly PolicyDocument[] | undefined;
  resource?: PolicyDocument | undefined;
}

export type Verdict = { allowed: true } | { allowed: false; because: string };

/**
 * IAM's decision within one account:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 * `because` is the end of AWS's sentence, "with an explicit deny in …" or "because no … policy allows the … action".
 */
export function decide(policies: PolicySet, question: Question, asker: Asker): Verdict {
  const denied = (because: string): Verdict => ({ allowed: false, because });
  const identity = evaluate(policies.identity, question);
  const boundary = policies.boundary && evaluate([policies.boundary], question);
  const session = policies.session && evaluate(policies.session, question);
  const resource = evaluateResource(policies.resource, question, asker);

  if (resource.effect === 'deny') return denied('with an explicit deny in a resource-based policy');
  if (identity === 'deny') return denied('with an explicit deny in an identity-based policy');
  if (boundary === 'deny') return denied('with an explicit deny in a permissions boundary');
  if (session === 'deny') return denied('with an explicit deny in a session policy');

  const granted = resource.by === 'asker';
  // A policy that names this very user or session is bounded by nothing; the ARN of a role, or `*`, still is.
  const personal = typeof resource.principal === 'object' && list(resource.principal.AWS).includes(asker.arns[0]!);
  if (granted && personal) return { allowed: true };
  const silent = (kind: string) => denied(`because no ${kind} allows the ${question.action} action`);
  if (identity !== 'allow' && !granted)
    return silent(asker.account ? 'identity-based policy' : 'resource-based policy');
  if (boundary === 'none') return silent('permissions boundary');
  if (session === 'none') return silent('session policy');
  return { allowed: true };
}

/** What is wrong with a policy document, in a sentence; undefined when nothing is. */
export function policyProblem(document: unknown): string | undefined {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return 'Syntax errors in policy.';
  const { Version, Statement, ...others } = document as Record<string, unknown>;
  if (Object.keys(others).some((name) => name !== 'Id')) return 'Syntax errors in policy.';
  if (Version !== undefined && Version !== '2012-10-17' && Version !== '2008-10-17') return 'Syntax errors in policy.';
  const statements = list(Statement as PolicyStatement | PolicyStatement[]);
  if (statements.length === 0) return 'Syntax errors in policy.';
  for (const statement of statements) {
    if (statement.Effect !== 'Allow' && statement.Effect !== 'Deny') return 'Syntax errors in policy.';
    if ((statement.Action === undefined) === (statement.NotAction === undefined)) return 'Syntax errors in policy.';
    const actions = [...list(statement.Action), ...list(statement.NotAction)];
    if (!actions.every((name) => name === '*' || /^[\w-]+:[\w*?-]+$/.test(name))) {
      return 'Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.';
    }
    if (!Object.keys(statement.Condition ?? {}).every(isOperator)) return 'Syntax errors in policy.';
  }
  return undefined;
}
