/** Snapshots, what differs between them, and keeping them. */
import { z } from 'zod';
import { CONTENT_BYTES_MAX, DIFF_PATHS_MAX, PRUNE_SNAPSHOTS_MAX } from '../../core/limits.ts';
import {
  count,
  cursor,
  durationMs,
  instant,
  labelText,
  name,
  nextCursor,
  operationId,
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
  /** What it is taken before: kept with it, for people. */
  tool: name.optional(),
  session: name.optional(),
  call: name.optional(),
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
  /** The one that is meant alone: for a label that no path carries, as it has a slash. */
  named: snapshotSpec.optional(),
  /** Older ones than this alone; a cursor goes on from there. */
  before: snapshotId.optional(),
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
    /** Of a renamed path. */
    oldPath: z.string().optional(),
    fields: z.array(z.enum(['mode', 'owner', 'mtime', 'xattrs', 'links'])),
    from: entryView.nullable(),
    to: entryView.nullable(),
    reason: z.string().optional(),
  })
  .meta({ id: 'Change' });

export const diffInput = z.strictObject({
  workspace: workspaceId,
  /** A snapshot, or `live` for the tree as it is. */
  from: snapshotSpec,
  to: snapshotSpec.default('live'),
  paths: z.array(pathText).max(DIFF_PATHS_MAX).optional(),
  /** false: paths that differ in their time alone are left out. */
  mtimes: z.boolean().default(true),
  /** A deleted and an added path that are the same thing come as one, at its new path. */
  renames: z.boolean().default(false),
  limit: pageLimit.optional(),
  cursor: cursor.optional(),
});
export const diffOutput = z.strictObject({
  from: z.union([snapshotId, z.literal('live')]),
  to: z.union([snapshotId, z.literal('live')]),
  /**
   * In walk order. Between two snapshots the pages are one diff; the live tree may change between two
   * pages, and each page is right for the moment it was made.
   */
  changes: z.array(changeView),
  /** Renames were asked for, but there were too many changes to find them. */
  renamesSkipped: z.boolean(),
  nextCursor,
});

export const readContentInput = z.strictObject({
  workspace: workspaceId,
  /** A snapshot, or `live` for the tree as it is. */
  tree: snapshotSpec,
  path: pathText,
  offset: count.default(0),
  length: z.int().min(1).max(CONTENT_BYTES_MAX).default(CONTENT_BYTES_MAX),
});
/** Bytes of a regular file, or where a symlink leads; nothing is followed. */
export const readContentOutput = z
  .strictObject({
    tree: z.union([snapshotId, z.literal('live')]),
    type: z.enum(['file', 'symlink']),
    /** Of all of it. */
    sizeBytes: count,
    offset: count,
    /** Base64; fewer bytes than were asked for: it ends there. */
    bytes: z.string(),
  })
  .meta({ id: 'Content' });

/** What snapshots do not hold, by a look through the live tree. */
export const listUncoveredOutput = z.strictObject({ uncovered: z.array(uncoveredView) });

export const pruneInput = z.strictObject({
  workspace: workspaceId,
  /** `plan` says what would go and why. */
  act: z.enum(['plan', 'apply']).default('plan'),
  /** Exactly these, whatever the rules say. */
  snapshots: z.array(snapshotSpec).min(1).max(PRUNE_SNAPSHOTS_MAX).optional(),
});
export const pruneOutput = z.strictObject({
  decisions: z.array(z.strictObject({ id: snapshotId, keep: z.boolean(), rule: z.string() })),
  deleted: z.array(snapshotId),
  durationMs,
  /** A turn that could not be ended yet, mostly for want of room. */
  unfinished: z.strictObject({ operation: operationId, reason: z.string() }).nullable(),
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
