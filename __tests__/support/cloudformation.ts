// biome-ignore-start lint/suspicious/noExplicitAny: a template is any JSON; what is wrong with it shows in a test
type Json = any;
// biome-ignore-end lint/suspicious/noExplicitAny: as above

/** A role as a template would make it, and the identity provider if the template makes that as well. */
export interface MadeRole {
  role: { name: string; trust: Json; permissions: Json };
  provider?: { url: string; audiences: string[] };
}

/** What each type of resource answers to Fn::GetAtt. */
const ATTRIBUTES: Record<string, string[]> = {
  'AWS::IAM::Role': ['Arn', 'RoleId'],
  'AWS::IAM::OIDCProvider': ['Arn'],
};

/**
 * The role that a CloudFormation template makes in an account: parameters, conditions and functions carried out.
 * @throws Error for whatever the template refers to and does not have.
 */
export function roleInCloudFormation(text: string, account: string, parameters: Record<string, string> = {}): MadeRole {
  const template = JSON.parse(text);
  const values: Record<string, string> = { 'AWS::AccountId': account, 'AWS::Partition': 'aws', ...parameters };
  for (const [name, { Default, AllowedValues }] of Object.entries<Json>(template.Parameters)) {
    values[name] ??= Default;
    if (!AllowedValues.includes(values[name])) throw new Error(`${name} cannot be ${values[name]}`);
  }
  const own = <T>(table: Record<string, T>, name: string): T => {
    if (!Object.hasOwn(table, name)) throw new Error(`The template refers to ${name}, which is not there`);
    return table[name]!;
  };

  const functions: Record<string, (argument: Json) => Json> = {
    Ref: (name) => own(values, name),
    'Fn::Equals': ([left, right]) => resolve(left) === resolve(right),
    'Fn::Sub': (pattern) =>
      pattern.replace(/\$\{(!?)([^}]*)\}/g, (_: string, literal: string, name: string) =>
        literal ? `\${${name}}` : own(values, name),
      ),
    'Fn::GetAtt': ([name, attribute]) => {
      const resource: Json = own(template.Resources, name);
      if (!ATTRIBUTES[resource.Type]?.includes(attribute)) throw new Error(`${resource.Type} has no ${attribute}`);
      if (!isMade(resource)) throw new Error(`${name} is not always there`);
      return `${name}.${attribute}`;
    },
  };
  function resolve(value: Json): Json {
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value !== 'object' || value === null) return value;
    const [[name, argument] = ['', undefined], ...others] = Object.entries(value);
    if (others.length === 0 && (name === 'Ref' || name.startsWith('Fn::'))) return own(functions, name)(argument);
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, resolve(member)]));
  }
  const isMade = ({ Condition }: Json) => Condition === undefined || resolve(own(template.Conditions, Condition));

  const made = Object.values<Json>(template.Resources)
    .filter(isMade)
    .map(({ Type, Properties }) => [Type, resolve(Properties)]);
  const [role, ...moreRoles] = made.filter(([type]) => type === 'AWS::IAM::Role').map(([, role]) => role);
  const [provider] = made.filter(([type]) => type === 'AWS::IAM::OIDCProvider').map(([, provider]) => provider);
  if (moreRoles.length > 0 || role.Policies.length !== 1) throw new Error('More than one role, or policy');
  for (const { Value } of Object.values<Json>(template.Outputs)) resolve(Value);
  return {
    role: { name: role.RoleName, trust: role.AssumeRolePolicyDocument, permissions: role.Policies[0].PolicyDocument },
    ...(provider && { provider: { url: provider.Url, audiences: provider.ClientIdList } }),
  };
}
