/**
 * Rename detection: pairs a deleted path with an added one that is the same thing under another name.
 *
 * Exact renames only, nothing is guessed from similar content. Type, size and mtime must be equal, and
 * then one proof: the same inode number (a number that was freed and used again comes with another
 * mtime), or, where a tree knows no inode numbers, the same content, compared by the caller. The result
 * is in walk order and depends on the changes and contents alone; where several paths fit, one of the
 * same base name is preferred, then walk order decides.
 *
 * It decides what a person reads, never what a rollback does.
 */
import { baseOf, comparePaths } from './raw-path.ts';
import type { MetadataField, TreeChange } from './tree-change.ts';
import { isBoundary, type TreeEntry } from './tree-entry.ts';

/** Whether a deleted and an added path of equal type and size have the same content. */
export type SameContent = (deleted: TreeChange, added: TreeChange) => boolean;

/**
 * Changes with each proven pair replaced by one `renamed` change at the new path. Its `fields` name
 * the mode, owner and link differences that the entries show; xattrs are not compared.
 * @param changes in any order, one a path
 * @param sameContent without it only inode numbers prove anything
 */
export function detectRenames(
  changes: readonly TreeChange[],
  sameContent: SameContent = () => false,
): readonly TreeChange[] {
  const ordered = changes.toSorted((a, b) => comparePaths(a.path, b.path));
  const sourceOf = new Map<TreeChange, TreeChange>();
  const renamedAway = new Set<TreeChange>();
  const pair = (added: TreeChange, deleted: TreeChange | undefined): void => {
    if (deleted === undefined) return;
    sourceOf.set(added, deleted);
    renamedAway.add(deleted);
  };
  // Inode numbers first: they are certain, and cost no reading.
  const byInode = groupDeleted(ordered, inodeKeyOf);
  for (const added of addedAmong(ordered)) {
    const same = byInode.get(inodeKeyOf(added.to) ?? '');
    pair(
      added,
      same?.find((deleted) => !renamedAway.has(deleted)),
    );
  }
  const byContent = groupDeleted(ordered, contentKeyOf);
  const findByContent = (added: TreeChange, base: 'same base' | 'other base'): void => {
    const candidates = byContent.get(contentKeyOf(added.to) ?? '');
    const isWanted = (deleted: TreeChange): boolean =>
      !renamedAway.has(deleted) &&
      haveSameBase(deleted, added) === (base === 'same base') &&
      mayAskForContent(deleted, added) &&
      sameContent(deleted, added);
    if (!sourceOf.has(added)) pair(added, candidates?.find(isWanted));
  };
  for (const added of addedAmong(ordered)) findByContent(added, 'same base');
  for (const added of addedAmong(ordered)) findByContent(added, 'other base');
  return ordered
    .filter((change) => !renamedAway.has(change))
    .map((change) => {
      const source = sourceOf.get(change);
      return source === undefined ? change : renamed(source, change);
    });
}

/** Whether `sameContent` could be asked about any pair: else nothing needs to be opened for it. */
export function needsContentEvidence(changes: readonly TreeChange[]): boolean {
  const byContent = groupDeleted(changes, contentKeyOf);
  return addedAmong(changes).some((added) => {
    const candidates = byContent.get(contentKeyOf(added.to) ?? '') ?? [];
    return candidates.some((deleted) => mayAskForContent(deleted, added));
  });
}

function addedAmong(changes: readonly TreeChange[]): readonly TreeChange[] {
  return changes.filter((change) => change.kind === 'added');
}

function groupDeleted(
  changes: readonly TreeChange[],
  keyOf: (entry: TreeEntry | null) => string | null,
): ReadonlyMap<string, readonly TreeChange[]> {
  const groups = new Map<string, TreeChange[]>();
  for (const change of changes) {
    const key = change.kind === 'deleted' ? keyOf(change.from) : null;
    if (key === null) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [change]);
    else group.push(change);
  }
  return groups;
}

/** Equal for one thing under two names; null where an entry's inode number proves nothing. */
function inodeKeyOf(entry: TreeEntry | null): string | null {
  if (entry === null || entry.ino === 0 || isBoundary(entry.type)) return null;
  return `${entry.type}:${entry.ino}:${entry.sizeBytes}:${entry.mtimeNs}`;
}

/** Equal where contents are worth comparing; an empty file's content proves nothing. */
function contentKeyOf(entry: TreeEntry | null): string | null {
  if (entry === null || (entry.type !== 'symlink' && entry.type !== 'file')) return null;
  if (entry.type === 'file' && entry.sizeBytes === 0) return null;
  return `${entry.type}:${entry.sizeBytes}:${entry.mtimeNs}`;
}

/** Two inode numbers that differ have disproved it already. */
function mayAskForContent(deleted: TreeChange, added: TreeChange): boolean {
  return (deleted.from?.ino ?? 0) === 0 || (added.to?.ino ?? 0) === 0;
}

function haveSameBase(deleted: TreeChange, added: TreeChange): boolean {
  return baseOf(deleted.path) === baseOf(added.path);
}

function renamed(source: TreeChange, target: TreeChange): TreeChange {
  return {
    path: target.path,
    kind: 'renamed',
    from: source.from,
    to: target.to,
    fields: differingFields(source.from, target.to),
    oldPath: source.path,
  };
}

function differingFields(from: TreeEntry | null, to: TreeEntry | null): readonly MetadataField[] {
  if (from === null || to === null) return [];
  const fields: MetadataField[] = [];
  if (from.mode !== to.mode) fields.push('mode');
  if (from.uid !== to.uid || from.gid !== to.gid) fields.push('owner');
  if (from.type !== 'dir' && from.nlink !== to.nlink) fields.push('links');
  return fields;
}
