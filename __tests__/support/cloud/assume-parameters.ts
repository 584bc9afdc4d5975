import type { PolicyDocument } from '../test-cloud.ts';
import { ServiceError } from './errors.ts';
import { policyProblem } from './policies.ts';

/** What a role is assumed with, checked. */
export interface AssumeParameters {
  arn: string;
  /** Of the session. */
  name: string;
  seconds: number;
  policy: PolicyDocument | undefined;
}

export const validation = (message: string) => new ServiceError(400, 'ValidationError', message);

export function constraint(name: string, value: string, rule: string): ServiceError {
  return validation(
    `1 validation error detected: Value '${value}' at '${name}' failed to satisfy constraint: Member must ${rule}`,
  );
}

/** What AssumeRole and AssumeRoleWithWebIdentity ask of their parameters alike. */
export function assumeParameters(form: URLSearchParams): AssumeParameters {
  const name = form.get('RoleSessionName') ?? '';
  if (name.length < 2) throw constraint('roleSessionName', name, 'have length greater than or equal to 2');
  if (name.length > 64) throw constraint('roleSessionName', name, 'have length less than or equal to 64');
  if (!/^[\w+=,.@-]*$/.test(name)) {
    throw constraint('roleSessionName', name, 'satisfy regular expression pattern: [\\w+=,.@-]*');
  }
  const arn = form.get('RoleArn') ?? '';
  if (arn.length < 20) throw constraint('roleArn', arn, 'have length greater than or equal to 20');
  if (!/^arn:aws:iam::\d{12}:role\/.+$/.test(arn)) throw validation(`${arn} is invalid`);
  const duration = form.get('DurationSeconds') ?? '3600';
  if (Number(duration) < 900) throw constraint('durationSeconds', duration, 'have value greater than or equal to 900');
  if (Number(duration) > 43_200) {
    throw constraint('durationSeconds', duration, 'have value less than or equal to 43200');
  }
  return { arn, name, seconds: Number(duration), policy: sessionPolicy(form.get('Policy')) };
}

/** The session policy of a request. AWS packs it into the token, which bounds it twice; here its length alone counts. */
function sessionPolicy(text: string | null): PolicyDocument | undefined {
  if (text === null) return undefined;
  if (text.length > 2048) throw constraint('policy', text, 'have length less than or equal to 2048');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new ServiceError(400, 'MalformedPolicyDocument', 'This policy contains invalid Json');
  }
  const problem = policyProblem(document);
  if (problem) throw new ServiceError(400, 'MalformedPolicyDocument', problem);
  return document as PolicyDocument;
}
