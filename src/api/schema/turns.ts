/** Going back on the wire: rollback, restore, undo, redo. Each begins with a precautionary snapshot. */
import { z } from 'zod';
import { RESTORE_PATHS_MAX } from '../../core/limits.ts';
import {
  callId,
  count,
  cursor,
  durationMs,
  instant,
  nextCursor,
  operationId,
  pageLimit,
  pathText,
  snapshotId,
  snapshotSpec,
  workspaceId,
} from './scalars.ts';
import { changeView } from './snapshots.ts';

const mode = z.enum(['auto', 'in-place', 'swap']);
const chosenMode = z.enum(['in-place', 'swap']);

export const rollbackInput = z.strictObject({
  workspace: workspaceId,
  target: snapshotSpec,
  mode: mode.default('auto'),
});

export const restoreInput = z.strictObject({
  workspace: workspaceId,
  target: snapshotSpec,
  paths: z.array(pathText).min(1).max(RESTORE_PATHS_MAX),
});

export const walkInput = z.strictObject({ workspace: workspaceId });

export const undoCallInput = z.strictObject({
  workspace: workspaceId,
  call: callId,
  /** `partial`: paths that later calls changed as well stay, and are told. */
  conflicts: z.enum(['fail', 'partial']).default('fail'),
});

const kind = z.enum(['rollback', 'restore', 'undo', 'redo', 'undo-call']);

export const turnView = z
  .strictObject({
    operation: operationId,
    kind,
    target: snapshotId,
    /** Roll back to it to take this back. */
    precautionary: snapshotId,
    mode: chosenMode,
    modeReason: z.string(),
    /** null: a swap exchanged the whole tree without counting. */
    changes: count.nullable(),
    durationMs,
    /** What could not be given back exactly. */
    notes: z.array(z.strictObject({ path: z.string(), what: z.string() })),
  })
  .meta({ id: 'Turn' });

const conflict = z.strictObject({ path: z.string(), reason: z.string() });

export const undoneCallView = z
  .strictObject({
    ...turnView.shape,
    call: callId,
    /** With `partial`: what was left as it is. */
    conflicts: z.array(conflict),
  })
  .meta({ id: 'UndoneCall' });

/** What taking a call back would do; nothing is done. */
export const planUndoCallInput = z.strictObject({ workspace: workspaceId, call: callId });
export const planUndoCallOutput = z.strictObject({
  call: callId,
  /** Calls that ran at the same time: their work may be among that of the call. */
  overlaps: z.array(callId),
  steps: z.array(
    z.strictObject({
      path: z.string(),
      action: z.enum(['remove', 'restore', 'attributes', 'merge', 'keep']),
      why: z.string().optional(),
    }),
  ),
  conflicts: z.array(conflict),
});

/** What a turn would do; nothing is done. */
export const planTurnInput = z.strictObject({
  workspace: workspaceId,
  kind: z.enum(['rollback', 'restore', 'undo', 'redo']),
  /** Of a rollback and a restore; undo and redo find theirs. */
  target: snapshotSpec.optional(),
  /** Of a restore. */
  paths: z.array(pathText).min(1).max(RESTORE_PATHS_MAX).optional(),
  mode: mode.default('auto'),
  limit: pageLimit.optional(),
  cursor: cursor.optional(),
});
export const planTurnOutput = z.strictObject({
  target: snapshotId,
  mode: chosenMode,
  modeReason: z.string(),
  /** From the live tree to the target, in walk order; each page is right for the moment it was made. */
  changes: z.array(changeView),
  nextCursor,
});

export const turnRecordView = z
  .strictObject({
    operation: operationId,
    kind,
    target: snapshotId,
    precautionary: snapshotId,
    mode: chosenMode,
    startedAt: instant,
    endedAt: instant.nullable(),
    outcome: z.enum(['completed', 'abandoned', 'in-flight']),
    changes: count.nullable(),
    /** Of a restore: what it was asked for. */
    paths: z.array(z.string()),
  })
  .meta({ id: 'TurnRecord' });

export const listOperationsInput = z.strictObject({
  workspace: workspaceId,
  limit: pageLimit.optional(),
});
/** Newest first. */
export const listOperationsOutput = z.strictObject({ operations: z.array(turnRecordView) });
