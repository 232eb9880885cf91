/**
 * A file system in memory, as plain as it can be: the reference that real trees are compared with.
 *
 * Names are bytes-as-latin1, as in the product. Hard links are one `ModelNode` under several names;
 * `cloneTree` keeps that structure. Nothing here follows a symlink, and every operation is whole: it
 * throws before it changes anything.
 */
import { baseOf, joinRaw, parentOf, type RawName, type RawPath } from '../../src/core/raw-path.ts';

export type ModelType = 'file' | 'dir' | 'symlink' | 'fifo';

export interface ModelNode {
  readonly type: ModelType;
  /** Stays with the node in every clone of its tree, as an inode number does in a snapshot. */
  readonly ino: number;
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  /** A file's content; empty for everything else. Replaced, never changed: clones share it. */
  content: Buffer;
  /** A symlink's target, bytes-as-latin1. */
  readonly target: string;
  /** Values are replaced, never changed. */
  readonly xattrs: Map<string, Buffer>;
  /** A directory's entries; empty for everything else. */
  readonly entries: Map<RawName, ModelNode>;
}

export interface ModelTree {
  readonly root: ModelNode;
}

let lastIno = 1;

export function makeNode(type: ModelType, fields: Partial<ModelNode> = {}): ModelNode {
  lastIno += 1;
  return {
    type,
    ino: lastIno,
    mode: type === 'dir' ? 0o755 : type === 'symlink' ? 0o777 : 0o644,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    content: Buffer.alloc(0),
    target: '',
    xattrs: new Map(),
    entries: new Map(),
    ...fields,
  };
}

export function makeTree(fields: Partial<ModelNode> = {}): ModelTree {
  return { root: makeNode('dir', fields) };
}

/** A tree of its own: nothing done to one is seen in the other. Inode numbers stay. */
export function cloneTree(tree: ModelTree): ModelTree {
  const copies = new Map<ModelNode, ModelNode>();
  return { root: cloneNode(tree.root, copies) };
}

function cloneNode(node: ModelNode, copies: Map<ModelNode, ModelNode>): ModelNode {
  const known = copies.get(node);
  if (known !== undefined) return known;
  const copy: ModelNode = {
    ...node,
    xattrs: new Map(node.xattrs),
    entries: new Map(),
  };
  copies.set(node, copy);
  for (const [name, child] of node.entries) copy.entries.set(name, cloneNode(child, copies));
  return copy;
}

/** null: nothing there, or something on the way is not a directory. */
export function findNode(tree: ModelTree, path: RawPath): ModelNode | null {
  let node = tree.root;
  if (path === '') return node;
  for (const name of path.split('/')) {
    const child = node.type === 'dir' ? node.entries.get(name as RawName) : undefined;
    if (child === undefined) return null;
    node = child;
  }
  return node;
}

export function nodeAt(tree: ModelTree, path: RawPath): ModelNode {
  const node = findNode(tree, path);
  if (node === null) throw new Error(`The model has nothing at ${JSON.stringify(path)}.`);
  return node;
}

/** Puts `node` at `path`, in place of what was there. The parent must be a directory. */
export function putNode(tree: ModelTree, path: RawPath, node: ModelNode): void {
  const parent = nodeAt(tree, parentOf(path));
  if (parent.type !== 'dir') throw new Error(`${JSON.stringify(parentOf(path))} is no directory.`);
  parent.entries.set(baseOf(path), node);
}

export function removeNode(tree: ModelTree, path: RawPath): void {
  nodeAt(tree, path);
  nodeAt(tree, parentOf(path)).entries.delete(baseOf(path));
}

/** Every path with its node, a directory before its entries, entries in byte order; root included. */
export function* walkTree(tree: ModelTree): Generator<readonly [RawPath, ModelNode]> {
  yield* walkFrom('' as RawPath, tree.root);
}

function* walkFrom(path: RawPath, node: ModelNode): Generator<readonly [RawPath, ModelNode]> {
  yield [path, node];
  for (const name of sortedNames(node)) {
    yield* walkFrom(joinRaw(path, name), node.entries.get(name) as ModelNode);
  }
}

export function sortedNames(node: ModelNode): RawName[] {
  return [...node.entries.keys()].sort();
}

/** How many names each node has in this tree. */
export function countLinks(tree: ModelTree): Map<ModelNode, number> {
  const counts = new Map<ModelNode, number>();
  for (const [, node] of walkTree(tree)) {
    if (node.type !== 'dir') counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return counts;
}
