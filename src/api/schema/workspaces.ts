/** Workspaces on the wire. */
import { z } from 'zod';
import {
  count,
  cursor,
  instant,
  nextCursor,
  pageLimit,
  sequenceNumber,
  snapshotId,
  snapshotSpec,
  workspaceId,
  workspaceName,
} from './scalars.ts';
import { snapshotView } from './snapshots.ts';

export const workspaceView = z
  .strictObject({
    workspace: workspaceId,
    name: workspaceName.nullable(),
    /** The live tree's absolute path on the service's host. */
    path: z.string(),
    backend: z.enum(['btrfs', 'store', 'memory']),
    pool: z.string(),
    /** What it was made from; null: it was adopted. */
    template: z.strictObject({ workspace: workspaceId, snapshot: snapshotId }).nullable(),
    /** `creating` and `deleting`: under way, or cut off by a crash and finished at the next start. */
    status: z.enum(['creating', 'active', 'deleting']),
    createdAt: instant,
  })
  .meta({ id: 'Workspace' });

export const createWorkspaceInput = z.strictObject({
  /** The workspace whose snapshot is cloned; of the same tenant, or one that is shared as a template. */
  template: workspaceId,
  snapshot: snapshotSpec.default('@'),
  name: workspaceName.optional(),
});

/** An existing directory of the host becomes a workspace where it stands, as `ghostsnap init` does it. */
export const adoptWorkspaceInput = z.strictObject({
  path: z.string().min(1).max(4096),
  name: workspaceName.optional(),
});

export const listWorkspacesInput = z.strictObject({
  /** The one of this name alone. */
  name: workspaceName.optional(),
  limit: pageLimit.optional(),
  cursor: cursor.optional(),
});
export const listWorkspacesOutput = z.strictObject({
  workspaces: z.array(workspaceView),
  nextCursor,
});

export const oneWorkspaceInput = z.strictObject({ workspace: workspaceId });

export const workspaceStatus = z
  .strictObject({
    ...workspaceView.shape,
    snapshots: count,
    newest: snapshotView.nullable(),
    pinned: count,
    canUndo: z.boolean(),
    canRedo: z.boolean(),
    callsInFlight: count,
    lastSequence: sequenceNumber,
    /** Where its snapshots are, on the service's host. */
    poolRoot: z.string(),
    poolTotalBytes: count,
    poolFreeBytes: count,
  })
  .meta({ id: 'WorkspaceStatus' });

export const deleteWorkspaceInput = z.strictObject({
  workspace: workspaceId,
  /**
   * `nothing`: the tree goes with its snapshots, as a platform ends a sandbox; only a workspace that was
   * made from a template. `directory`: a plain directory with the same contents remains.
   */
  keep: z.enum(['nothing', 'directory']).default('directory'),
});
export const deleteWorkspaceOutput = z.strictObject({
  workspace: workspaceId,
  /** The directory that remains; null: none does. */
  path: z.string().nullable(),
  removedSnapshots: count,
});
