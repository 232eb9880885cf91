/**
 * The schema of policy files: what a person's configuration and a workspace's `ghostsnap.json` may say.
 *
 * One source for checking and for the published JSON Schema (`schema/`). Unknown keys are refused: a
 * misspelt rule must not be a rule that is silently missing. Bounds are part of the schema, because one of
 * the two files may have been written by an agent.
 */
import { z } from 'zod';
import { POLICY_PATTERN_BYTES_MAX, POLICY_PATTERNS_MAX, POLICY_RULES_MAX } from '../core/limits.ts';
import { MODE_FLAGS, POLICY_ACTIONS, PROTECTED_CHANGES } from '../core/policy/policy-rule.ts';

const action = z
  .enum(POLICY_ACTIONS)
  .describe(
    'note: keep it in the log. warn: also tell the agent. ask: tell the agent to stop and ask. ' +
      'rollback: put the workspace back at once and tell the agent why.',
  );
const pattern = z.string().min(1).max(POLICY_PATTERN_BYTES_MAX);
const patterns = z.array(pattern).max(POLICY_PATTERNS_MAX);
const except = patterns
  .default([])
  .describe('Path patterns that do not count, for example "node_modules".');
const count = z.int().min(0);

const rules = {
  deletedFiles: z.strictObject({
    rule: z.literal('deleted-files'),
    max: count.describe('More files than this deleted by one call; moved files do not count.'),
    except,
    action,
  }),
  deletedShare: z.strictObject({
    rule: z.literal('deleted-share'),
    maxPercent: z.number().min(0).max(100).describe('More of all files than this deleted.'),
    minFiles: count.default(10).describe('And at least this many.'),
    except,
    action,
  }),
  deletedBytes: z.strictObject({
    rule: z.literal('deleted-bytes'),
    maxBytes: count.describe('More bytes than this in the files that one call deleted.'),
    except,
    action,
  }),
  writtenBytes: z.strictObject({
    rule: z.literal('written-bytes'),
    maxBytes: count.describe('More bytes than this in the files that one call made or rewrote.'),
    except,
    action,
  }),
  protectedPaths: z.strictObject({
    rule: z.literal('protected-paths'),
    paths: patterns
      .min(1)
      .describe('In the way of .gitignore: ".env*" at any depth, "/db/migrations" from the root.'),
    changes: z
      .array(z.enum(PROTECTED_CHANGES))
      .min(1)
      .default(['deleted', 'modified', 'metadata'])
      .describe('What must not happen to them.'),
    action,
  }),
  modes: z.strictObject({
    rule: z.literal('modes'),
    flags: z
      .array(z.enum(MODE_FLAGS))
      .min(1)
      .describe('Permissions that a path must not gain; "any" for every change of permissions.'),
    except,
    action,
  }),
  owners: z.strictObject({ rule: z.literal('owners'), except, action }),
  destructiveCommands: z.strictObject({
    rule: z.literal('destructive-commands'),
    except: patterns
      .default([])
      .describe('Commands that are not spoken of, as "ghostsnap policy explain" names them: ">".'),
    action: z
      .enum(['note', 'warn', 'ask'])
      .describe('Before such a command runs. warn: tell the agent. ask: let a person decide.'),
  }),
} as const;

const anyRule = z.discriminatedUnion('rule', [
  rules.deletedFiles,
  rules.deletedShare,
  rules.deletedBytes,
  rules.writtenBytes,
  rules.protectedPaths,
  rules.modes,
  rules.owners,
  rules.destructiveCommands,
]);

const ruleOff = z.strictObject({
  rule: z.enum([
    ...['deleted-files', 'deleted-share', 'deleted-bytes', 'written-bytes'],
    ...['protected-paths', 'modes', 'owners', 'destructive-commands'],
  ] as const),
  action: z.literal('off'),
});

/** `policy` in the person's config.json: may loosen what is built in. */
export const userPolicySchema = z.strictObject({
  rules: z
    .array(z.union([anyRule, ruleOff]))
    .max(POLICY_RULES_MAX)
    .default([])
    .describe(
      'Rules of a name take the place of the built-in ones of that name; "off" drops them.',
    ),
  workspaceFile: z
    .enum(['tighten', 'ignore'])
    .default('tighten')
    .describe('Whether rules in ghostsnap.json of a workspace count; they can only add.'),
});

/** `ghostsnap.json` of a workspace: rules in addition to all others. */
export const workspacePolicySchema = z.strictObject({
  $schema: z.string().optional(),
  policy: z.strictObject({
    rules: z.array(anyRule).max(POLICY_RULES_MAX).describe('In addition to all other rules.'),
  }),
});

/** The published form, for editors. */
export function workspacePolicyJsonSchema(): Record<string, unknown> {
  return {
    ...z.toJSONSchema(workspacePolicySchema, { io: 'input' }),
    title: 'ghostsnap.json: what one tool call of an agent may do to this workspace',
  };
}
