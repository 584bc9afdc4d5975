import { randomBytes } from 'node:crypto';
import { handedOut } from '../secrets.ts';
import type { AccessKeys, PolicyDocument } from '../test-cloud.ts';
import type { Context } from './patterns.ts';
import { type Asker, decide, type PolicySet, policyProblem, type Question, type Verdict } from './policies.ts';
import type { Credential } from './sigv4.ts';

export interface User {
  kind: 'user';
  name: string;
  arn: string;
  id: string;
  policy?: PolicyDocument | undefined;
  boundary?: PolicyDocument | undefined;
}

export interface Role {
  name: string;
  arn: string;
  id: string;
  trust: PolicyDocument;
  policy?: PolicyDocument | undefined;
  boundary?: PolicyDocument | undefined;
  maxSessionSeconds: number;
}

export interface Session {
  kind: 'session';
  name: string;
  arn: string;
  id: string;
  role: Role;
  policy?: PolicyDocument | undefined;
}

/** The account itself may do everything that no bucket policy denies it. */
export interface Owner {
  kind: 'owner';
  arn: string;
  id: string;
}

export type Principal = User | Session | Owner | { kind: 'anonymous' };

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const letters = (count: number) => Array.from(randomBytes(count), (byte) => ALPHABET[byte % 32]).join('');

const EVERYTHING: PolicyDocument = { Statement: { Effect: 'Allow', Action: '*', Resource: '*' } };

/** The users, roles and sessions of one account, their keys, and what each of them may do. */
export class Identities {
  readonly account: string;
  readonly users = new Map<string, User>();
  readonly roles = new Map<string, Role>();
  /** Every access key id, secret key and session token ever made. */
  readonly secrets: string[] = [];
  readonly #credentials = new Map<string, Credential<Principal>>();

  constructor(account: string) {
    this.account = account;
  }

  credential(accessKeyId: string): Credential<Principal> | undefined {
    return this.#credentials.get(accessKeyId);
  }

  createOwnerKeys(): AccessKeys {
    const arn = `arn:aws:iam::${this.account}:root`;
    return this.#issue({ kind: 'owner', arn, id: this.account }, 'AKIA');
  }

  createUser(
    name: string,
    policies: { policy?: PolicyDocument | undefined; boundary?: PolicyDocument | undefined } = {},
  ): AccessKeys {
    check(policies.policy);
    check(policies.boundary);
    const arn = `arn:aws:iam::${this.account}:user/${name}`;
    const user: User = { kind: 'user', name, arn, id: `AIDA${letters(17)}`, ...policies };
    this.users.set(name, user);
    return this.#issue(user, 'AKIA');
  }

  createRole(name: string, settings: Pick<Role, 'trust'> & Partial<Omit<Role, 'name' | 'arn' | 'id'>>): Role {
    check(settings.trust);
    check(settings.policy);
    check(settings.boundary);
    const arn = `arn:aws:iam::${this.account}:role/${name}`;
    const role = { name, arn, id: `AROA${letters(17)}`, maxSessionSeconds: 3600, ...settings };
    this.roles.set(name, role);
    return role;
  }

  /** The role as it is now, or an error of the test that names one that is not there. */
  role(name: string): Role {
    const role = this.roles.get(name);
    if (!role) throw new Error(`No role ${name}`);
    return role;
  }

  createSession(role: Role, name: string, expires: number, policy?: PolicyDocument) {
    const arn = `arn:aws:sts::${this.account}:assumed-role/${role.name}/${name}`;
    const session: Session = { kind: 'session', name, arn, id: `${role.id}:${name}`, role, policy };
    const sessionToken = `IQoJb3JpZ2luX2Vj${randomBytes(540).toString('base64')}`;
    return { session, expires, sessionToken, ...this.#issue(session, 'ASIA', { sessionToken, expires }) };
  }

  /** Makes every session that lives now end at `time`. */
  expireSessions(time: number): void {
    for (const credential of this.#credentials.values()) if (credential.expires) credential.expires = time;
  }

  deleteKeys(accessKeyId: string): void {
    this.#credentials.delete(accessKeyId);
  }

  /** What the policies of `principal`, and those of the resource, say to a question. */
  decide(principal: Principal, question: Question, resource?: PolicyDocument): Verdict {
    const context = { ...principalContext(principal, this.account), ...question.context };
    return decide(this.#policies(principal, resource), { ...question, context }, this.asker(principal));
  }

  asker(principal: Principal): Asker {
    if (principal.kind === 'anonymous') return { arns: [] };
    const arns = principal.kind === 'session' ? [principal.arn, principal.role.arn] : [principal.arn];
    return { arns, account: this.account };
  }

  #policies(principal: Principal, resource: PolicyDocument | undefined): PolicySet {
    if (principal.kind === 'anonymous') return { identity: [], resource };
    if (principal.kind === 'owner') return { identity: [EVERYTHING], resource };
    const holder = principal.kind === 'user' ? principal : principal.role;
    // A role that was removed takes the rights of its living sessions along.
    const gone = principal.kind === 'session' && this.roles.get(principal.role.name) !== principal.role;
    return {
      identity: holder.policy && !gone ? [holder.policy] : [],
      boundary: holder.boundary,
      session: principal.kind === 'session' && principal.policy ? [principal.policy] : undefined,
      resource,
    };
  }

  #issue(principal: Principal, prefix: 'AKIA' | 'ASIA', session: { sessionToken?: string; expires?: number } = {}) {
    const keys = { accessKeyId: prefix + letters(16), secretAccessKey: randomBytes(30).toString('base64') };
    this.#credentials.set(keys.accessKeyId, { ...keys, ...session, principal });
    this.secrets.push(keys.accessKeyId, keys.secretAccessKey);
    handedOut.add('an access key id', keys.accessKeyId);
    handedOut.add('a secret key', keys.secretAccessKey);
    if (session.sessionToken) {
      this.secrets.push(session.sessionToken);
      handedOut.add('a session token', session.sessionToken);
    }
    return keys;
  }
}

function principalContext(principal: Principal, account: string): Context {
  if (principal.kind === 'anonymous') return { 'aws:principaltype': 'Anonymous' };
  return {
    'aws:principalarn': principal.kind === 'session' ? principal.role.arn : principal.arn,
    'aws:principalaccount': account,
    'aws:principaltype': { user: 'User', session: 'AssumedRole', owner: 'Account' }[principal.kind],
    'aws:userid': principal.id,
    'aws:username': principal.kind === 'user' ? principal.name : undefined,
  };
}

/** A policy that AWS would refuse is a mistake of the test. */
export function check(policy: PolicyDocument | undefined): void {
  const problem = policy && policyProblem(policy);
  if (problem) throw new Error(`${problem} ${JSON.stringify(policy)}`);
}
