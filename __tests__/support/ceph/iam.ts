import type { PolicyDocument } from '../test-cloud.ts';
import type { SignedClient } from './signed-request.ts';

/** The part of IAM that the gateway has, by the account's administrator. */
export class Iam {
  readonly #client: SignedClient;
  readonly #tenant: string;

  constructor(client: SignedClient, tenant: string) {
    this.#client = client;
    this.#tenant = tenant;
  }

  /** Any thumbprint will do: it is demanded and never compared. */
  async createOpenIdProvider(url: string, clientId: string): Promise<void> {
    await this.#call('CreateOpenIDConnectProvider', {
      Url: url,
      'ClientIDList.member.1': clientId,
      'ThumbprintList.member.1': '6938fd4d98bab03faadb97b34396831e3780aea1',
    });
  }

  /** Answers the role's ARN. */
  async createRole(name: string, trust: PolicyDocument, policy: PolicyDocument | undefined): Promise<string> {
    await this.#call('CreateRole', { RoleName: name, AssumeRolePolicyDocument: JSON.stringify(trust) });
    if (policy) {
      const document = JSON.stringify(policy);
      await this.#call('PutRolePolicy', { RoleName: name, PolicyName: 'inline', PolicyDocument: document });
    }
    return `arn:aws:iam::${this.#tenant}:role/${name}`;
  }

  async putUserPolicy(name: string, policy: PolicyDocument): Promise<void> {
    const user = `${this.#tenant}$${name}`;
    await this.#call('PutUserPolicy', {
      UserName: user,
      PolicyName: 'inline',
      PolicyDocument: JSON.stringify(policy),
    });
  }

  async #call(action: string, parameters: Record<string, string>): Promise<void> {
    const form = Object.entries({ Action: action, Version: '2010-05-08', ...parameters });
    // The gateway takes a `+` in a form for a plus, so blanks have to be %20: URLSearchParams will not do.
    const body = form.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await this.#client.send({ method: 'POST', path: '/', headers, body });
    if (answer.status >= 300) throw new Error(`${action}: ${answer.status} ${answer.body.toString()}`);
  }
}
