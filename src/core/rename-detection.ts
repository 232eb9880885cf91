/**
 * Rename detection: pairs a deleted path with an added one that is the same thing under another name.
 *
 * Exact renames only. The evidence is that inode number, type, size and mtime are all equal: a rename
 * changes none of them, while an inode number that was freed and used again comes with another mtime.
 * Nothing is guessed from similar content. The result is in walk order and depends on the changes
 * alone; where several paths carry the same evidence (hard links) they pair in walk order.
 *
 * It decides what a person reads, never what a rollback does.
 */
import { comparePaths } from './raw-path.ts';
import type { MetadataField, TreeChange } from './tree-change.ts';
import { isBoundary, type TreeEntry } from './tree-entry.ts';

/**
 * Changes with each proven pair replaced by one `renamed` change at the new path. Its `fields` name
 * the mode, owner and link differences that the entries show; xattrs are not compared.
 * @param changes in any order, one a path
 */
export function detectRenames(changes: readonly TreeChange[]): readonly TreeChange[] {
  const ordered = changes.toSorted((a, b) => comparePaths(a.path, b.path));
  const deletedByEvidence = new Map<string, TreeChange[]>();
  for (const change of ordered) {
    const evidence = change.kind === 'deleted' ? evidenceOf(change.from) : null;
    if (evidence === null) continue;
    const same = deletedByEvidence.get(evidence);
    if (same === undefined) deletedByEvidence.set(evidence, [change]);
    else same.push(change);
  }
  if (deletedByEvidence.size === 0) return ordered;

  const renamedAway = new Set<TreeChange>();
  const paired = ordered.map((change) => {
    const evidence = change.kind === 'added' ? evidenceOf(change.to) : null;
    const source = evidence === null ? undefined : deletedByEvidence.get(evidence)?.shift();
    if (source === undefined) return change;
    renamedAway.add(source);
    return renamed(source, change);
  });
  return paired.filter((change) => !renamedAway.has(change));
}

/** Equal for one thing under two names; null where an entry proves nothing. */
function evidenceOf(entry: TreeEntry | null): string | null {
  if (entry === null || entry.ino === 0 || isBoundary(entry.type)) return null;
  return `${entry.type}:${entry.ino}:${entry.sizeBytes}:${entry.mtimeNs}`;
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
