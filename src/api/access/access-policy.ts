/**
 * The access policy: which SPIFFE id is whose, and what it may do. A small file that an operator writes.
 *
 * A rule's id is matched segment by segment: a text as it is, `*` for any one segment, `{tenant}` for any
 * one segment, which then is the tenant. No id fits two rules: two that could both fit one are refused
 * when the file is read, so that the order of rules means nothing. An id that fits none is nobody.
 * One zod source for checking and for the published JSON Schema (`schema/`).
 */
import { z } from 'zod';
import { GhostsnapError } from '../../core/errors.ts';
import { readStrictJson } from '../door/strict-json.ts';
import { LOCAL_TENANT, type Principal, ROLES, type Role } from '../principal.ts';
import { isSegment, parseSpiffeId, type SpiffeId } from './spiffe-id.ts';

/** Rules of one policy: an id is tried on each. */
const RULES_MAX = 1024;
const POLICY_BYTES_MAX = 1_048_576;

/** Names of tenants end up in paths and logs. */
const TENANT = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export const accessPolicySchema = z.strictObject({
  $schema: z.string().optional(),
  format: z.literal(1),
  trustDomain: z
    .string()
    .regex(/^[a-z0-9._-]{1,255}$/)
    .describe('Ids of another trust domain are nobody, whatever the certificate authority signed.'),
  rules: z
    .array(
      z.strictObject({
        id: z
          .string()
          .max(2048)
          .describe(
            'spiffe://DOMAIN/segments; "*" is any one segment, "{tenant}" names the tenant.',
          ),
        tenant: z
          .string()
          .regex(TENANT)
          .optional()
          .describe('Whose it is; left out when the id has {tenant}.'),
        role: z
          .enum(ROLES as readonly [Role, ...Role[]])
          .describe(
            'agent: sessions, tool calls, going back. reader: looks. operator: everything.',
          ),
      }),
    )
    .max(RULES_MAX),
});

interface Rule {
  readonly text: string;
  readonly segments: readonly string[];
  readonly tenant: string | undefined;
  readonly role: Role;
}

export class AccessPolicy {
  readonly trustDomain: string;
  readonly #rules: readonly Rule[];

  constructor(trustDomain: string, rules: readonly Rule[]) {
    this.trustDomain = trustDomain;
    this.#rules = rules;
  }

  /** null: nobody who is known here. */
  principalOf(id: SpiffeId): Principal | null {
    if (id.trustDomain !== this.trustDomain) return null;
    const rule = this.#rules.find(({ segments }) => fits(segments, id.segments));
    if (rule === undefined) return null;
    const tenant = rule.tenant ?? id.segments[rule.segments.indexOf('{tenant}')] ?? '';
    // A segment may be longer than a tenant's name, or have capitals; the local tenant has no certificate.
    if (!TENANT.test(tenant) || tenant === LOCAL_TENANT) return null;
    return { id: id.text, tenant, role: rule.role };
  }
}

/**
 * @param bytes the policy file, JSON
 * @param source its path, for messages
 * @throws GhostsnapError BAD_CONFIG naming everything that is wrong with it
 */
export function parseAccessPolicy(bytes: Uint8Array, source: string): AccessPolicy {
  const bounds = { bytesMax: POLICY_BYTES_MAX, depthMax: 8, values: 'exact' } as const;
  const reading = readStrictJson(bytes, bounds);
  if (!reading.ok) throw badPolicy(source, [reading.why]);
  const parsed = accessPolicySchema.safeParse(reading.value);
  if (!parsed.success) {
    const { issues } = parsed.error;
    throw badPolicy(
      source,
      issues.map(({ path, message }) => `${path.join('.')}: ${message}`),
    );
  }
  const { trustDomain } = parsed.data;
  const problems: string[] = [];
  const rules = parsed.data.rules.flatMap(({ id, tenant, role }, index) => {
    const segments = segmentsOf(id, trustDomain);
    const problem = problemOf(segments, tenant, trustDomain);
    if (problem === null) return [{ text: id, segments: segments ?? [], tenant, role }];
    problems.push(`rules.${index}: ${problem}`);
    return [];
  });
  problems.push(...overlaps(rules));
  if (problems.length > 0) throw badPolicy(source, problems);
  return new AccessPolicy(trustDomain, rules);
}

/** The published form, for editors. */
export function accessPolicyJsonSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(accessPolicySchema, { io: 'input' }),
    title: 'Who may use a ghostsnap service, and as whom',
  };
}

/** null when it is no pattern of an id. */
function segmentsOf(id: string, trustDomain: string): readonly string[] | null {
  const start = `spiffe://${trustDomain}/`;
  if (!id.startsWith(start)) return null;
  const segments = id.slice(start.length).split('/');
  // What stands for any segment is looked at as one of them.
  const example = segments.map((part) => (isWild(part) ? 'any' : part)).join('/');
  return parseSpiffeId(start + example) === null ? null : segments;
}

function problemOf(
  segments: readonly string[] | null,
  tenant: string | undefined,
  trustDomain: string,
): string | null {
  if (segments === null) return `the id is not spiffe://${trustDomain}/ and segments`;
  const named = segments.filter((part) => part === '{tenant}').length;
  if (named > 1) return 'the id names the tenant twice';
  if (named === 1 && tenant !== undefined) return 'the tenant is given twice';
  if (named === 0 && tenant === undefined) return 'no tenant is given';
  if (tenant === LOCAL_TENANT) return `"${LOCAL_TENANT}" is the tenant of the machine itself`;
  return null;
}

function overlaps(rules: readonly Rule[]): readonly string[] {
  return rules.flatMap((rule, index) =>
    rules
      .slice(index + 1)
      .filter((other) => canBothFit(rule.segments, other.segments))
      .map((other) => `${rule.text} and ${other.text} both fit some ids`),
  );
}

function canBothFit(one: readonly string[], other: readonly string[]): boolean {
  if (one.length !== other.length) return false;
  return one.every((part, at) => isWild(part) || isWild(other[at] ?? '') || part === other[at]);
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((part, at) => {
    const segment = segments[at] ?? '';
    return isWild(part) ? isSegment(segment) : part === segment;
  });
}

function isWild(part: string): boolean {
  return part === '*' || part === '{tenant}';
}

const PROBLEMS_MAX = 16;

function badPolicy(source: string, problems: readonly string[]): GhostsnapError {
  const shown = problems.slice(0, PROBLEMS_MAX);
  return new GhostsnapError(
    'BAD_CONFIG',
    `The access policy ${source} cannot be used: ${shown.join('; ')}.`,
    {
      hint: 'Correct it; the policy that was in force before stays in force.',
      data: { source, problems: shown.map((one) => `${source}: ${one}`) },
    },
  );
}
