/**
 * What the tools of the MCP server take and give, as schemas: the client gets them as JSON Schema, and
 * everything that comes in is checked against them.
 */
import { z } from 'zod';

/** Bounds of one answer: a model reads it, and pays for every line. */
export const LIST_MAX = 200;
export const CHANGES_MAX = 1000;
const CHANGES_DEFAULT = 100;
const PATHS_MAX = 1000;
const PATH_CHARACTERS_MAX = 4096;
const SPEC_CHARACTERS_MAX = 1024;

const SPEC_HELP =
  'a snapshot: its id, the beginning of one, its label, "@" for the newest, "@~2" for the second before';

export const spec = z.string().min(1).max(SPEC_CHARACTERS_MAX).describe(SPEC_HELP);

const paths = z
  .array(z.string().min(1).max(PATH_CHARACTERS_MAX))
  .max(PATHS_MAX)
  .describe('paths relative to the workspace');

const snapshot = z.object({
  id: z.string(),
  createdAt: z.string().describe('ISO 8601, UTC'),
  role: z.enum(['ordinary', 'precautionary', 'adopted']),
  label: z.string().nullable(),
  tool: z.string().nullable().describe('the tool that ran after it'),
  session: z.string().nullable(),
  call: z.string().nullable(),
  pinned: z.boolean(),
  parent: z.string().nullable(),
});

const uncovered = z
  .array(z.object({ path: z.string(), reason: z.string() }))
  .describe('what the snapshot does not hold');

const change = z.object({
  path: z.string(),
  kind: z.enum(['added', 'deleted', 'modified', 'metadata', 'type', 'renamed', 'uncovered']),
  fields: z.array(z.string()).describe('which of mode, owner, mtime, xattrs, links differ'),
  sizeBefore: z.number().nullable().describe('bytes; null where it was not there'),
  sizeAfter: z.number().nullable(),
});

const stats = z.object({
  added: z.number(),
  deleted: z.number(),
  modified: z.number(),
  metadata: z.number(),
  type: z.number(),
  renamed: z.number(),
  uncovered: z.number(),
});

export const listInput = z.strictObject({
  limit: z.int().min(1).max(LIST_MAX).default(20).describe('how many, newest first'),
});
export const listOutput = z.object({ snapshots: z.array(snapshot) });

export const diffInput = z.strictObject({
  from: spec,
  to: spec.default('live').describe(`${SPEC_HELP}; "live" is the tree as it is now`),
  paths: paths.optional(),
  limit: z.int().min(1).max(CHANGES_MAX).default(CHANGES_DEFAULT).describe('changes listed'),
});
export const diffOutput = z.object({
  changes: z.array(change),
  stats: stats.describe('counts of all changes, also of those that are not listed'),
  truncated: z.boolean(),
});

export const snapshotInput = z.strictObject({
  label: z.string().min(1).max(SPEC_CHARACTERS_MAX).optional().describe('a name for it'),
});
export const snapshotOutput = z.object({
  id: z.string(),
  createdAt: z.string(),
  durationMs: z.number(),
  uncovered,
});

export const rollbackInput = z.strictObject({ to: spec });
export const restoreInput = z.strictObject({ from: spec, paths: paths.min(1) });
export const undoInput = z.strictObject({});

export const turnOutput = z.object({
  operation: z.string(),
  kind: z.enum(['rollback', 'restore', 'undo', 'redo']),
  target: z.string().describe('the snapshot that the workspace, or the paths, are at now'),
  precautionary: z.string().describe('the state before; "undo" goes back to it'),
  mode: z.enum(['in-place', 'swap']),
  modeReason: z.string(),
  changes: z.number().nullable().describe('paths acted on; null when the whole tree was exchanged'),
  durationMs: z.number(),
  notes: z
    .array(z.object({ path: z.string(), what: z.string() }))
    .describe('what could not be given back exactly'),
  policy: z.array(z.string()).describe('what the policy has against the change; nothing: empty'),
});
