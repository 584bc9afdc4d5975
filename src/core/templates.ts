import type { Policy } from './policy.ts';
import { GITHUB_ISSUER, type TrustPolicy } from './trust.ts';

/** A role for one workflow: who may assume it, and what it may do. */
export interface RoleSpec {
  readonly name: string;
  readonly trust: TrustPolicy;
  readonly permissions: Policy;
  /** `aud` of the tokens: what the OIDC provider must list. */
  readonly audience: string;
}

/** What stands in the ARN of a provider or distribution for an account that is not known: in no other text does it mean that. */
const UNKNOWN_ACCOUNT = /^(arn:[\w-]+:(?:iam|cloudfront)::)ACCOUNT_ID(?=:(?:oidc-provider|distribution)\/)/;
// biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are templates of CloudFormation and Terraform
const ACCOUNT_IN_CLOUDFORMATION = '${AWS::AccountId}';
const ACCOUNT_IN_TERRAFORM = '${data.aws_caller_identity.current.account_id}';
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: as above

/** The role as a CloudFormation template, in JSON. `CreateProvider=false` where the account has the OIDC provider already. */
export function cloudFormation({ name, trust, permissions, audience }: RoleSpec): object {
  return {
    AWSTemplateFormatVersion: '2010-09-09',
    Description: `A role with which a GitHub workflow deploys to ${bucketOf(permissions)}, through OIDC and without keys.`,
    Parameters: {
      CreateProvider: {
        Type: 'String',
        AllowedValues: ['true', 'false'],
        Default: 'true',
        Description: 'false where the account has the OIDC provider of GitHub already',
      },
    },
    Conditions: { WithProvider: { 'Fn::Equals': [{ Ref: 'CreateProvider' }, 'true'] } },
    Resources: {
      GitHub: {
        Type: 'AWS::IAM::OIDCProvider',
        Condition: 'WithProvider',
        Properties: { Url: GITHUB_ISSUER, ClientIdList: [audience] },
      },
      Deploy: {
        Type: 'AWS::IAM::Role',
        Properties: {
          RoleName: name,
          AssumeRolePolicyDocument: withAccount(trust),
          Policies: [{ PolicyName: 'deploy-site', PolicyDocument: resourcesWithAccount(permissions) }],
        },
      },
    },
    Outputs: { RoleToAssume: { Value: { 'Fn::GetAtt': ['Deploy', 'Arn'] } } },
  };
}

/** The role as Terraform, for the AWS provider. */
export function terraform({ name, trust, permissions, audience }: RoleSpec): string {
  return `data "aws_caller_identity" "current" {}

# Remove this resource where the account has the OIDC provider of GitHub already.
resource "aws_iam_openid_connect_provider" "github" {
  url            = ${hcl(GITHUB_ISSUER)}
  client_id_list = [${hcl(audience)}]
}

resource "aws_iam_role" "deploy" {
  name = ${hcl(name)}
  assume_role_policy = jsonencode(${hcl(trust)})
}

resource "aws_iam_role_policy" "deploy_site" {
  name = "deploy-site"
  role = aws_iam_role.deploy.id
  policy = jsonencode(${hcl(permissions)})
}

output "role_to_assume" {
  value = aws_iam_role.deploy.arn
}
`;
}

/** A value as an HCL expression, laid out as `terraform fmt` does: JSON is one, once templates in its strings are escaped. */
function hcl(value: unknown): string {
  return JSON.stringify(value, null, 2)
    .replace(/[$%](?=\{)/g, '$&$&')
    .replace(/^( *"(?:[^"\\]|\\.)*"):/gm, '$1 :')
    .replace(/(?<=^ *"(?:Federated|Resource)" : ")[^"]*/gm, (arn) =>
      arn.replace(UNKNOWN_ACCOUNT, `$1${ACCOUNT_IN_TERRAFORM}`),
    )
    .replaceAll('\n', '\n  ');
}

/** A document whose ARNs in an unknown account are ones in the account that the template is applied to. */
function withAccount(document: unknown): unknown {
  if (typeof document === 'string') {
    return UNKNOWN_ACCOUNT.test(document)
      ? { 'Fn::Sub': document.replace(UNKNOWN_ACCOUNT, `$1${ACCOUNT_IN_CLOUDFORMATION}`) }
      : document;
  }
  if (Array.isArray(document)) return document.map(withAccount);
  if (typeof document !== 'object' || document === null) return document;
  return Object.fromEntries(Object.entries(document).map(([key, value]) => [key, withAccount(value)]));
}

/** In conditions stand prefixes, which are anybody's text. */
function resourcesWithAccount(policy: Policy): object {
  return { ...policy, Statement: policy.Statement.map((one) => ({ ...one, Resource: withAccount(one.Resource) })) };
}

function bucketOf({ Statement }: Policy): string {
  return Statement[0]?.Resource.replace(/^arn:[\w-]+:s3:::/, '') ?? '';
}
