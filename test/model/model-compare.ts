/**
 * The reference comparison of two model trees: what any backend's `compare` must say.
 *
 * It is written for being obviously right: both trees become maps from path to node, and hard link
 * groups are sets of paths. Nothing is streamed.
 */
import {
  baseOf,
  comparePaths,
  isWithin,
  type RawName,
  type RawPath,
} from '../../src/core/raw-path.ts';
import type { MetadataField, TreeChange } from '../../src/core/tree-change.ts';
import type { TreeEntry } from '../../src/core/tree-entry.ts';
import { countLinks, type ModelNode, type ModelTree, walkTree } from './model-tree.ts';

export interface ModelCompareOptions {
  readonly paths?: readonly RawPath[];
  readonly mtimes?: boolean;
}

export function compareModels(
  from: ModelTree,
  to: ModelTree,
  options: ModelCompareOptions = {},
): TreeChange[] {
  const left = new Map(walkTree(from));
  const right = new Map(walkTree(to));
  const leftLinks = linkGroups(from);
  const rightLinks = linkGroups(to);
  const changes: TreeChange[] = [];
  for (const path of [...new Set([...left.keys(), ...right.keys()])].sort(comparePaths)) {
    if (options.paths?.some((selected) => isWithin(path, selected)) === false) continue;
    const a = left.get(path) ?? null;
    const b = right.get(path) ?? null;
    const kind = kindOf(a, b);
    const fields = a === null || b === null || a.type !== b.type ? [] : differingFields(a, b);
    if (kind === null && leftLinks.get(path) !== rightLinks.get(path)) fields.push('links');
    const told = options.mtimes === false ? fields.filter((field) => field !== 'mtime') : fields;
    if (kind === null && told.length === 0) continue;
    changes.push({
      path,
      kind: kind ?? 'metadata',
      from: a && entryOf(from, path, a),
      to: b && entryOf(to, path, b),
      fields: told,
    });
  }
  return changes;
}

function kindOf(a: ModelNode | null, b: ModelNode | null): TreeChange['kind'] | null {
  if (a === null) return 'added';
  if (b === null) return 'deleted';
  if (a.type !== b.type) return 'type';
  return a.content.equals(b.content) && a.target === b.target ? null : 'modified';
}

function differingFields(a: ModelNode, b: ModelNode): MetadataField[] {
  const fields: MetadataField[] = [];
  if (a.mode !== b.mode) fields.push('mode');
  if (a.uid !== b.uid || a.gid !== b.gid) fields.push('owner');
  if (a.mtimeNs !== b.mtimeNs) fields.push('mtime');
  if (xattrText(a) !== xattrText(b)) fields.push('xattrs');
  return fields;
}

function xattrText(node: ModelNode): string {
  return JSON.stringify(
    [...node.xattrs].map(([name, value]) => [name, value.toString('hex')]).sort(),
  );
}

/** No name holds a NUL. */
export const GROUP_SEPARATOR = '\0';

/** For each path of a file with several names: all of them, as one text. */
export function linkGroups(tree: ModelTree): Map<RawPath, string> {
  const byNode = new Map<ModelNode, RawPath[]>();
  for (const [path, node] of walkTree(tree)) {
    if (node.type === 'dir') continue;
    byNode.set(node, [...(byNode.get(node) ?? []), path]);
  }
  const groups = new Map<RawPath, string>();
  for (const paths of byNode.values()) {
    if (paths.length < 2) continue;
    for (const path of paths) groups.set(path, paths.join(GROUP_SEPARATOR));
  }
  return groups;
}

export function entryOf(tree: ModelTree, path: RawPath, node: ModelNode): TreeEntry {
  return {
    name: (path === '' ? '' : baseOf(path)) as RawName,
    type: node.type,
    mode: node.mode,
    uid: node.uid,
    gid: node.gid,
    sizeBytes: node.content.length,
    mtimeNs: node.mtimeNs,
    ino: node.ino,
    nlink: node.type === 'dir' ? 1 : (countLinks(tree).get(node) ?? 1),
    ctimeNs: 0n,
    rdev: 0,
  };
}
