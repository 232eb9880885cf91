/**
 * Scalars of the wire: ids, bounded texts, times, cursors.
 *
 * One zod source for validation, types, OpenAPI and the client. Everything here can be said in JSON
 * Schema, nothing is transformed: what was validated is the value that came, and its branded type says
 * so. Bounds are in characters, which for a bounded text are never fewer than a quarter of its bytes; the
 * engine checks bytes.
 */
import { z } from 'zod';
import type { CallId, OperationId, PromptId, SnapshotId, WorkspaceId } from '../../core/ids.ts';
import {
  API_CURSOR_LENGTH_MAX,
  API_PAGE_MAX,
  LABEL_BYTES_MAX,
  NAME_BYTES_MAX,
} from '../../core/limits.ts';

/** 26 characters of Crockford's base 32, the first of them at most 7: 128 bits. */
const ULID = '[0-7][0-9A-HJKMNP-TV-Z]{25}';

/** A brand lives in the compiler only, so the pattern that earns it is checked and then claimed here. */
function idOf<Id extends string>(prefix: string, what: string): z.ZodType<Id, string> {
  const pattern = new RegExp(`^${prefix}_${ULID}$`);
  const schema = z.string().regex(pattern).describe(what);
  return schema as unknown as z.ZodType<Id, string>;
}

export const workspaceId = idOf<WorkspaceId>('ws', 'A workspace.');
export const snapshotId = idOf<SnapshotId>(
  'ghost',
  'A snapshot; its text order is its time order.',
);
export const callId = idOf<CallId>('call', 'A tool call.');
export const promptId = idOf<PromptId>('prompt', 'A prompt.');
export const operationId = idOf<OperationId>('op', 'An operation that turned a tree.');

/** No control characters: a name ends up in logs and on terminals. */
const ONE_LINE = /^[^\p{Cc}\p{Cs}]*$/u;

/** The harness's own id of a session, the name of a tool, ... */
export const name = z.string().min(1).max(NAME_BYTES_MAX).regex(ONE_LINE);
export const labelText = z.string().min(1).max(LABEL_BYTES_MAX).regex(ONE_LINE);

/** What a platform calls a workspace; unique within its tenant. */
export const workspaceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);

/**
 * How a request names a snapshot: a full id, `@` for the newest that is not precautionary, `@~N` for the
 * N-th before it, or a label.
 */
export const snapshotSpec = labelText.describe('A snapshot id, "@", "@~N" or a label.');

/** Relative to the workspace, in the display form of SPEC.md, "Paths as text". */
export const pathText = z.string().min(1).max(16_384);

/** RFC 3339, UTC, milliseconds. */
export const instant = z.iso.datetime({ precision: 3 });

export const count = z.int().min(0);
export const durationMs = z.number().min(0);
export const sequenceNumber = z.int().min(0).describe('Events of a workspace count 1, 2, 3, ...');

export const cursor = z
  .string()
  .min(1)
  .max(API_CURSOR_LENGTH_MAX)
  .regex(/^[A-Za-z0-9_-]+$/)
  .describe('Where the last page ended, as it was given; opaque.');
export const pageLimit = z
  .int()
  .min(1)
  .max(API_PAGE_MAX)
  .describe('Entries of a page at most; 100 when it is not given.');
export const nextCursor = cursor.nullable().describe('null: that was the last page.');
