/** Going back on the wire: rollback, restore, undo, redo. Each begins with a precautionary snapshot. */
import { z } from 'zod';
import { RESTORE_PATHS_MAX } from '../../core/limits.ts';
import {
  callId,
  count,
  durationMs,
  operationId,
  pathText,
  snapshotId,
  snapshotSpec,
  workspaceId,
} from './scalars.ts';

const mode = z.enum(['auto', 'in-place', 'swap']);

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

export const turnView = z
  .strictObject({
    operation: operationId,
    kind: z.enum(['rollback', 'restore', 'undo', 'redo', 'undo-call']),
    target: snapshotId,
    /** Roll back to it to take this back. */
    precautionary: snapshotId,
    mode: z.enum(['in-place', 'swap']),
    modeReason: z.string(),
    /** null: a swap exchanged the whole tree without counting. */
    changes: count.nullable(),
    durationMs,
    /** What could not be given back exactly. */
    notes: z.array(z.strictObject({ path: z.string(), what: z.string() })),
  })
  .meta({ id: 'Turn' });
