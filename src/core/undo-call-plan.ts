/**
 * Planning how one tool call is taken back while what came later stays: path by path, a three-way merge.
 *
 * For each path that the call changed there are three states: before the call, after it, and now. Where
 * nothing changed since, the state before comes back whole. Where something did, the parts that only the
 * call changed come back and the parts that only changed later stay; a part that both changed is merged line
 * by line, or it is a conflict. Pure: what a file holds is somebody else's business, `merge` asks for it.
 */
import type { RawPath } from './raw-path.ts';
import type { MetadataField, TreeChange } from './tree-change.ts';
import type { TreeEntry } from './tree-entry.ts';

export interface CallPath {
  /** What the call did to the path; 'renamed' with `oldPath` when it moved a file. */
  readonly change: TreeChange;
  /** What happened to it since the call; null: nothing. For a rename: at its new path. */
  readonly later: TreeChange | null;
  /** Since the call something appeared or changed below it. For a rename: something is at its old path. */
  readonly isInTheWay: boolean;
}

export type ConflictReason =
  | 'changed since'
  | 'made again since'
  | 'deleted since'
  | 'of another type since'
  | 'its permissions or owner changed since as well'
  | 'has other names (hard links)'
  | 'something else is at its old place'
  | 'its directory is gone'
  | 'binary: both changed it'
  | 'too large to merge'
  | 'too many equal lines to merge'
  | 'the same lines changed since';

export type PathStep =
  /** Nothing is to be done. */
  | { readonly type: 'keep'; readonly path: RawPath; readonly why: string }
  /** `pairedWith`: only together with the step at that path, the old place of a file that moved. */
  | { readonly type: 'remove'; readonly path: RawPath; readonly pairedWith?: RawPath }
  /** Content and kind from before the call, attributes as in `entry`. */
  | { readonly type: 'restore'; readonly path: RawPath; readonly entry: TreeEntry }
  /** Content as it is now, attributes as in `entry`; extended ones as they were before, or are now. */
  | {
      readonly type: 'attributes';
      readonly path: RawPath;
      readonly entry: TreeEntry;
      readonly xattrs: 'before' | 'now';
    }
  /** Lines merged: before at `path`, after and now at `from`. Attributes as in `entry`. */
  | {
      readonly type: 'merge';
      readonly path: RawPath;
      readonly from: RawPath;
      readonly entry: TreeEntry;
    }
  | { readonly type: 'conflict'; readonly path: RawPath; readonly reason: ConflictReason };

/** The steps for one path of the call: one, or two for a rename. */
export function planPath({ change, later, isInTheWay }: CallPath): readonly PathStep[] {
  const { path, from: before, to: after } = change;
  switch (change.kind) {
    case 'uncovered':
      return [];
    case 'added':
      return [planAdded({ path, later, isInTheWay })];
    case 'deleted':
      return before === null ? [] : [planDeleted(path, before, later)];
    case 'renamed':
      return planRename({ change, later, isInTheWay });
    case 'type':
      return [planType({ change, later, isInTheWay })];
    case 'modified':
    case 'metadata':
      return before === null || after === null ? [] : [planBoth({ path, before, change, later })];
  }
}

function planAdded({
  path,
  later,
  isInTheWay,
}: Omit<CallPath, 'change'> & { readonly path: RawPath }): PathStep {
  if (later === null && isInTheWay) {
    return { type: 'keep', path, why: 'things that came later are in it' };
  }
  if (later === null) return { type: 'remove', path };
  if (later.to === null) return { type: 'keep', path, why: 'it is gone already' };
  return { type: 'conflict', path, reason: 'changed since' };
}

function planDeleted(path: RawPath, before: TreeEntry, later: TreeChange | null): PathStep {
  if (later === null || later.to === null) return { type: 'restore', path, entry: before };
  if (before.type === 'dir' && later.to.type === 'dir') {
    return { type: 'keep', path, why: 'the directory is there again' };
  }
  return { type: 'conflict', path, reason: 'made again since' };
}

function planType({ change, later, isInTheWay }: CallPath): PathStep {
  const { path, from: before } = change;
  if (later !== null || before === null) return { type: 'conflict', path, reason: 'changed since' };
  if (isInTheWay) return { type: 'conflict', path, reason: 'changed since' };
  return { type: 'restore', path, entry: before };
}

function planRename({ change, later, isInTheWay }: CallPath): readonly PathStep[] {
  const { path, from: before, to: after } = change;
  const oldPath = change.oldPath ?? path;
  if (before === null || after === null) return [];
  if (isInTheWay) {
    return [{ type: 'conflict', path: oldPath, reason: 'something else is at its old place' }];
  }
  const remove: PathStep = { type: 'remove', path, pairedWith: oldPath };
  if (later === null) return [{ type: 'restore', path: oldPath, entry: before }, remove];
  const reason = conflictOf(later);
  if (reason !== null) return [{ type: 'conflict', path, reason }];
  const moved = planBoth({ path, before, change: asChange(change), later });
  if (moved.type === 'conflict') return [moved];
  const now = later.to ?? before;
  const entry = 'entry' in moved ? moved.entry : before;
  if (later.kind !== 'modified') return [{ type: 'restore', path: oldPath, entry }, remove];
  const kept = { ...entry, sizeBytes: now.sizeBytes, mtimeNs: now.mtimeNs };
  return [{ type: 'merge', path: oldPath, from: path, entry: kept }, remove];
}

/** A rename as a change in place: what it did to the file besides moving it. */
function asChange(change: TreeChange): TreeChange {
  return { ...change, kind: 'metadata' };
}

/** Later changes that no merge of attributes or lines can answer. */
function conflictOf(later: TreeChange): ConflictReason | null {
  if (later.to === null) return 'deleted since';
  return later.kind === 'type' ? 'of another type since' : null;
}

function planBoth(both: {
  readonly path: RawPath;
  readonly before: TreeEntry;
  readonly change: TreeChange;
  readonly later: TreeChange | null;
}): PathStep {
  const { path, before, change, later } = both;
  const hasContent = change.kind === 'modified';
  const after = change.to ?? before;
  if (later === null) {
    if (before.type === 'dir') return { type: 'attributes', path, entry: before, xattrs: 'before' };
    return { type: 'restore', path, entry: before };
  }
  const reason = conflictOf(later);
  const now = later.to;
  if (reason !== null || now === null) {
    return { type: 'conflict', path, reason: reason ?? 'deleted since' };
  }
  const isLinked = before.type !== 'dir' && [before, after, now].some(({ nlink }) => nlink > 1);
  if (isLinked) return { type: 'conflict', path, reason: 'has other names (hard links)' };
  const attributes = mergeAttributes({ before, now, change, later });
  if (attributes === null) {
    return { type: 'conflict', path, reason: 'its permissions or owner changed since as well' };
  }
  // Had the call changed the extended ones, it would be a conflict by now.
  if (!hasContent) return { type: 'attributes', path, entry: attributes, xattrs: 'now' };
  const { sizeBytes, mtimeNs } = before;
  if (later.kind === 'metadata') {
    return { type: 'restore', path, entry: { ...attributes, sizeBytes, mtimeNs } };
  }
  if (before.type !== 'file') return { type: 'conflict', path, reason: 'changed since' };
  return { type: 'merge', path, from: path, entry: attributes };
}

/**
 * The entry now, with those attributes from before that only the call changed. null: both changed one,
 * to different values.
 */
function mergeAttributes(states: {
  readonly before: TreeEntry;
  readonly now: TreeEntry;
  readonly change: TreeChange;
  readonly later: TreeChange;
}): TreeEntry | null {
  const { before, now, change, later } = states;
  const both = (field: MetadataField): boolean =>
    change.fields.includes(field) && later.fields.includes(field);
  if (both('mode') && before.mode !== now.mode) return null;
  if (both('owner') && (before.uid !== now.uid || before.gid !== now.gid)) return null;
  // Their values are not part of an entry: which of them the later change touched is not known.
  if (change.fields.includes('xattrs')) return null;
  const mode = change.fields.includes('mode') ? before.mode : now.mode;
  const owner = change.fields.includes('owner') ? before : now;
  return { ...now, mode, uid: owner.uid, gid: owner.gid };
}
