/** Snapshots, what differs between them, and keeping them. */
import { z } from 'zod';
import { DIFF_PATHS_MAX } from '../../core/limits.ts';
import {
  count,
  cursor,
  durationMs,
  instant,
  labelText,
  nextCursor,
  pageLimit,
  pathText,
  snapshotId,
  snapshotSpec,
  workspaceId,
} from './scalars.ts';

export const snapshotView = z
  .strictObject({
    id: snapshotId,
    createdAt: instant,
    role: z.enum(['ordinary', 'precautionary', 'adopted']),
    label: z.string().nullable(),
    tool: z.string().nullable(),
    session: z.string().nullable(),
    call: z.string().nullable(),
    pinned: z.boolean(),
    parent: snapshotId.nullable(),
  })
  .meta({ id: 'Snapshot' });

export const uncoveredView = z.strictObject({ path: z.string(), reason: z.string() });

export const takeSnapshotInput = z.strictObject({
  workspace: workspaceId,
  label: labelText.optional(),
});
export const takeSnapshotOutput = z.strictObject({
  snapshot: snapshotView,
  durationMs,
  /** It lay ready, and nothing had changed since. */
  adopted: z.boolean(),
  uncovered: z.array(uncoveredView),
});

export const listSnapshotsInput = z.strictObject({
  workspace: workspaceId,
  limit: pageLimit.optional(),
  cursor: cursor.optional(),
});
export const listSnapshotsOutput = z.strictObject({
  /** Newest first. */
  snapshots: z.array(snapshotView),
  nextCursor,
});

export const oneSnapshotInput = z.strictObject({ workspace: workspaceId, snapshot: snapshotSpec });

export const labelSnapshotInput = z.strictObject({
  workspace: workspaceId,
  snapshot: snapshotSpec,
  /** null takes the label away. */
  label: labelText.nullable(),
});

const entryView = z
  .strictObject({
    type: z.enum([
      'file',
      'dir',
      'symlink',
      'fifo',
      'socket',
      'chardev',
      'blockdev',
      'subvolume',
      'mount',
    ]),
    /** Four octal digits. */
    mode: z.string(),
    uid: count,
    gid: count,
    sizeBytes: count,
    /** Nanoseconds since the epoch, in decimal: a JSON number cannot hold them. */
    mtimeNs: z.string(),
  })
  .meta({ id: 'Entry' });

export const changeView = z
  .strictObject({
    path: z.string(),
    kind: z.enum(['added', 'deleted', 'modified', 'metadata', 'type', 'renamed', 'uncovered']),
    fields: z.array(z.enum(['mode', 'owner', 'mtime', 'xattrs', 'links'])),
    from: entryView.nullable(),
    to: entryView.nullable(),
    reason: z.string().optional(),
  })
  .meta({ id: 'Change' });

export const diffInput = z.strictObject({
  workspace: workspaceId,
  from: snapshotSpec,
  /** A snapshot, or `live` for the tree as it is. */
  to: snapshotSpec.default('live'),
  paths: z.array(pathText).max(DIFF_PATHS_MAX).optional(),
  limit: pageLimit.optional(),
  cursor: cursor.optional(),
});
export const diffOutput = z.strictObject({
  from: snapshotId,
  to: z.union([snapshotId, z.literal('live')]),
  /**
   * In walk order. Between two snapshots the pages are one diff; the live tree may change between two
   * pages, and each page is right for the moment it was made.
   */
  changes: z.array(changeView),
  nextCursor,
});

export const pruneInput = z.strictObject({
  workspace: workspaceId,
  /** `plan` says what would go and why. */
  act: z.enum(['plan', 'apply']).default('plan'),
});
export const pruneOutput = z.strictObject({
  decisions: z.array(z.strictObject({ id: snapshotId, keep: z.boolean(), rule: z.string() })),
  deleted: z.array(snapshotId),
});

export const usageInput = z.strictObject({});
export const usageOutput = z
  .strictObject({
    tenant: z.string(),
    workspaces: count,
    /** Of the pools that the service may use; shared by all tenants. */
    pools: z.array(z.strictObject({ name: z.string(), totalBytes: count, freeBytes: count })),
  })
  .meta({ id: 'Usage' });

export const workspaceUsageOutput = z
  .strictObject({
    workspace: workspaceId,
    snapshots: count,
    pinned: count,
    callsInFlight: count,
    events: count,
    poolTotalBytes: count,
    poolFreeBytes: count,
  })
  .meta({ id: 'WorkspaceUsage' });
