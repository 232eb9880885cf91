import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  accessPolicyJsonSchema,
  parseAccessPolicy,
} from '../../../src/api/access/access-policy.ts';
import { parseSpiffeId, spiffeIdOf } from '../../../src/api/access/spiffe-id.ts';
import { GhostsnapError } from '../../../src/core/errors.ts';

const RULES = [
  { id: 'spiffe://a.example/platform/gateway', tenant: 'blue', role: 'agent' },
  { id: 'spiffe://a.example/tenants/{tenant}/agents/*', role: 'agent' },
  { id: 'spiffe://a.example/tenants/{tenant}/dashboards', role: 'reader' },
  { id: 'spiffe://a.example/people/*', tenant: 'blue', role: 'operator' },
];

function policyOf(value: unknown): ReturnType<typeof parseAccessPolicy> {
  return parseAccessPolicy(Buffer.from(JSON.stringify(value)), 'access.json');
}
const policy = policyOf({ format: 1, trustDomain: 'a.example', rules: RULES });

function who(text: string): string | null {
  const id = parseSpiffeId(text);
  const principal = id === null ? null : policy.principalOf(id);
  return principal === null ? null : `${principal.tenant} ${principal.role}`;
}

function problemsOf(rules: unknown, change: object = {}): string {
  try {
    policyOf({ format: 1, trustDomain: 'a.example', rules, ...change });
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'BAD_CONFIG') return error.message;
    throw error;
  }
  return '';
}

describe('parseSpiffeId()', () => {
  it.each([
    'spiffe://a.example/x',
    'spiffe://a_b-1.example/A.b/_c/-',
    `spiffe://a/${'x'.repeat(2035)}`,
  ])('takes %s', (text) => {
    expect(parseSpiffeId(text)?.text).toBe(text);
  });

  it.each([
    '',
    'spiffe://',
    'spiffe://a.example',
    'spiffe://a.example/',
    'spiffe:///x',
    'SPIFFE://a.example/x',
    'spiffe://A.example/x',
    'spiffe://a.example:1/x',
    'spiffe://u@a.example/x',
    'spiffe://a.example/x/',
    'spiffe://a.example//x',
    'spiffe://a.example/./x',
    'spiffe://a.example/../x',
    'spiffe://a.example/x?y',
    'spiffe://a.example/x#y',
    'spiffe://a.example/x%2fy',
    'spiffe://a.example/x y',
    'spiffe://a.example/\u0430',
    'https://a.example/x',
    `spiffe://a/${'x'.repeat(2048)}`,
  ])('refuses %j', (text) => {
    expect(parseSpiffeId(text)).toBeNull();
  });
});

describe('spiffeIdOf()', () => {
  const named = (subjectAltName: string | undefined, ca = false): string | undefined =>
    spiffeIdOf({ subjectAltName, ca })?.text;

  it('takes the one URI of a leaf', () => {
    expect(named('URI:spiffe://a.example/x')).toBe('spiffe://a.example/x');
    expect(named('DNS:b, URI:spiffe://a.example/x, IP Address:1.2.3.4')).toBe(
      'spiffe://a.example/x',
    );
  });

  it('takes none of two, none of a signer, none out of another name', () => {
    expect(named('URI:spiffe://a.example/x, URI:spiffe://a.example/y')).toBeUndefined();
    expect(named('URI:spiffe://a.example/x, URI:https://a')).toBeUndefined();
    expect(named('URI:spiffe://a.example/x', true)).toBeUndefined();
    expect(named(undefined)).toBeUndefined();
    // Node quotes what could be taken for two names.
    expect(named('DNS:"b, URI:spiffe://a.example/x"')).toBeUndefined();
    expect(named('URI:"spiffe://a.example/x, y"')).toBeUndefined();
    expect(named('weird:b, URI:spiffe://a.example/x')).toBeUndefined();
    expect(named('URI:spiffe://a.example/x, ')).toBe('spiffe://a.example/x');
  });
});

describe('an access policy', () => {
  it('finds whose an id is and what it may do', () => {
    expect(who('spiffe://a.example/platform/gateway')).toBe('blue agent');
    expect(who('spiffe://a.example/tenants/red/agents/7')).toBe('red agent');
    expect(who('spiffe://a.example/tenants/red/dashboards')).toBe('red reader');
    expect(who('spiffe://a.example/people/eve')).toBe('blue operator');
  });

  it('knows nobody else', () => {
    for (const text of [
      'spiffe://b.example/platform/gateway',
      'spiffe://a.example/platform',
      'spiffe://a.example/platform/gateway/x',
      'spiffe://a.example/tenants/red/agents',
      'spiffe://a.example/tenants/RED/agents/7',
      'spiffe://a.example/tenants/local/agents/7',
      `spiffe://a.example/tenants/${'r'.repeat(64)}/agents/7`,
      'spiffe://a.example/people/eve/x',
    ]) {
      expect(who(text), text).toBeNull();
    }
  });

  it('names everything that is wrong with it', () => {
    const wrong = [
      { id: 'spiffe://b.example/x', tenant: 'blue', role: 'agent' },
      { id: 'spiffe://a.example/x', role: 'agent' },
      { id: 'spiffe://a.example/{tenant}/{tenant}', role: 'agent' },
      { id: 'spiffe://a.example/{tenant}/y', tenant: 'blue', role: 'agent' },
      { id: 'spiffe://a.example/z', tenant: 'local', role: 'operator' },
      { id: 'spiffe://a.example/a*', tenant: 'blue', role: 'operator' },
    ];
    const message = problemsOf(wrong);
    for (const index of wrong.keys()) expect(message).toContain(`rules.${index}: `);
    expect(problemsOf([], { formate: 1 })).toContain('formate');
    expect(problemsOf([{ id: 'spiffe://a.example/x', tenant: 'blue', role: 'root' }])).toContain(
      'rules.0.role',
    );
    expect(() => parseAccessPolicy(Buffer.from('{"format":1,"format":1}'), 'x')).toThrow(/twice/);
  });

  it('refuses rules that could both fit one id, whatever their order', () => {
    const one = { id: 'spiffe://a.example/people/eve', tenant: 'blue', role: 'reader' };
    const any = { id: 'spiffe://a.example/people/*', tenant: 'blue', role: 'operator' };
    expect(problemsOf([one, any])).toContain('both fit');
    expect(problemsOf([any, one])).toContain('both fit');
    expect(problemsOf([one, one])).toContain('both fit');
    const pattern = fc.array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: 3 });
    const segments = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(pattern, pattern, segments, (first, second, id) => {
        const rules = [first, second].map((parts, index) => ({
          id: `spiffe://a.example/${parts.join('/')}`,
          ...{ tenant: `t${index}`, role: 'agent' },
        }));
        if (problemsOf(rules) !== '') return;
        const found = rules.filter((rule) => {
          const alone = policyOf({ format: 1, trustDomain: 'a.example', rules: [rule] });
          return alone.principalOf({ text: '', trustDomain: 'a.example', segments: id }) !== null;
        });
        expect(found.length).toBeLessThan(2);
      }),
    );
  });
});

it('schema/access-policy.schema.json is what the program checks by', async () => {
  const text = `${JSON.stringify(accessPolicyJsonSchema(), null, 2)}\n`;
  await expect(text).toMatchFileSnapshot('../../../schema/access-policy.schema.json');
});
