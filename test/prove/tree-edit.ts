/**
 * What programs do to a tree beyond the conformance suite's operations: stores through mappings, held or
 * not, punched holes, exchanged names, access control lists.
 *
 * As there, a random intent becomes an edit that can succeed on what the model holds at that moment, so
 * that a shrunk sequence stays meaningful; the witness carries it out. What the kernel decides (modes
 * under default ACLs, times, owners) the model takes over from the witness's facts.
 */
import { isWithin, type RawName, type RawPath } from '../../src/core/raw-path.ts';
import {
  findNode,
  type ModelNode,
  type ModelTree,
  nodeAt,
  putNode,
  walkTree,
} from '../model/model-tree.ts';
import { type Operation, runOnModel } from '../model/operation.ts';
import {
  type Actor,
  type Intent,
  KINDS,
  NAMES,
  resolveIntent,
  resolveTurn,
} from '../model/operation-arbitrary.ts';
import type { SimRandom } from '../sim/sim-random.ts';
import type { EntryFacts } from './witness.ts';

type Patch = { readonly path: RawPath; readonly offset: number; readonly content: Buffer };

export type TreeEdit =
  | Operation
  | { readonly op: 'exchange'; readonly path: RawPath; readonly to: RawPath }
  | {
      readonly op: 'punch';
      readonly path: RawPath;
      readonly offset: number;
      readonly length: number;
    }
  | ({ readonly op: 'map-write' } & Patch)
  | { readonly op: 'hold'; readonly path: RawPath; readonly key: string }
  | ({ readonly op: 'store-held'; readonly key: string } & Patch)
  | { readonly op: 'let-go'; readonly path: RawPath; readonly key: string };

const OWN_KINDS = ['exchange', 'punch', 'map-write', 'hold', 'store-held', 'acl'] as const;
const ALL_KINDS = [...KINDS, ...OWN_KINDS];

/** JSON all through: a failing sequence is kept as a file. */
export interface EditIntent {
  readonly kind: (typeof ALL_KINDS)[number];
  readonly pick: number;
  readonly other: number;
  readonly name: string;
  readonly text: string;
  readonly sizeBytes: number;
  readonly mtimeNs: string;
}

/** Mappings that are written through later. The node, not the path: a rename does not end one. */
export type Held = Map<string, { readonly node: ModelNode; readonly bytes: number }>;

export interface Editor extends Actor {
  readonly mayHoldMappings: boolean;
}

const TEXTS = ['a', 'bc', 'xyz ', '\n', '\0', '{"k":1}', '\xff\xfe'];
/** Past this many entries what is created is removed instead: listings cost by the entry. */
const ENTRIES_MAX = 60;
const ACCESS_ACL = 'system.posix_acl_access';
const DEFAULT_ACL = 'system.posix_acl_default';

export function randomIntent(random: SimRandom): EditIntent {
  // Inline in btrfs's tree, past that, and past one block.
  const sizeBytes = random.oneIn(3) ? 4000 + random.below(5000) : random.below(60);
  return {
    kind: random.pick(ALL_KINDS),
    pick: random.below(1000),
    other: random.below(1000),
    name: random.pick(NAMES),
    text: random.pick(TEXTS),
    sizeBytes,
    mtimeNs: String(BigInt(random.next()) * 900_000_000n - 1_000_000_000_000n),
  };
}

/** Nothing fits: an empty list. */
export function resolveEdits(
  tree: ModelTree,
  intent: EditIntent,
  actor: Editor,
  held: Held,
): readonly TreeEdit[] {
  const isOwn = (OWN_KINDS as readonly string[]).includes(intent.kind);
  const edit = isOwn ? resolveOwn(tree, intent, actor, held) : resolveShared(tree, intent, actor);
  if (edit === null) return [];
  const asShared = toIntent(intent);
  const second = edit.op === 'remove' ? resolveTurn(asShared, edit.path) : null;
  return second === null ? [edit] : [edit, second];
}

function toIntent(intent: EditIntent): Intent {
  return {
    ...intent,
    kind: intent.kind as Intent['kind'],
    name: intent.name as RawName,
    mtimeNs: BigInt(intent.mtimeNs),
  };
}

function resolveShared(tree: ModelTree, intent: EditIntent, actor: Actor): Operation | null {
  const isCrowded = [...walkTree(tree)].length > ENTRIES_MAX;
  const kind = isCrowded && GROWING.has(intent.kind) ? 'remove' : intent.kind;
  return resolveIntent(tree, toIntent({ ...intent, kind }), actor);
}

const GROWING = new Set<string>(['write', 'link', 'symlink', 'mkdir', 'fifo']);

function resolveOwn(
  tree: ModelTree,
  intent: EditIntent,
  actor: Editor,
  held: Held,
): TreeEdit | null {
  const { pick, other } = intent;
  if (intent.kind === 'store-held') return resolveStore(intent, held);
  const paths = [...walkTree(tree)].filter(([path]) => path !== '');
  if (intent.kind === 'exchange') {
    const [path] = paths[pick % paths.length] ?? [];
    const [to] = paths[other % paths.length] ?? [];
    if (path === undefined || to === undefined) return null;
    return isWithin(path, to) || isWithin(to, path) ? null : { op: 'exchange', path, to };
  }
  if (intent.kind === 'acl') return resolveAcl(paths, intent);
  const files = paths.filter(([, node]) => node.type === 'file' && node.content.length > 0);
  const [path, node] = files[pick % files.length] ?? [];
  if (path === undefined || node === undefined) return null;
  const size = node.content.length;
  const offset = other % size;
  if (intent.kind === 'punch') {
    return { op: 'punch', path, offset, length: 1 + (intent.sizeBytes % size) };
  }
  if (intent.kind === 'hold') {
    return held.size > 0 || !actor.mayHoldMappings ? null : { op: 'hold', path, key: `${pick}` };
  }
  return { op: 'map-write', path, offset, content: patchOf(intent, size - offset) };
}

function resolveStore(intent: EditIntent, held: Held): TreeEdit | null {
  for (const [key, { node, bytes }] of held) {
    const size = Math.min(node.content.length, bytes);
    // A store beyond the end of a file that was truncated meanwhile would be a SIGBUS.
    if (size === 0) return null;
    const offset = intent.other % size;
    const content = patchOf(intent, size - offset);
    return { op: 'store-held', path: '' as RawPath, key, offset, content };
  }
  return null;
}

function patchOf(intent: EditIntent, bytesMax: number): Buffer {
  return Buffer.alloc(Math.min(1 + (intent.sizeBytes % 64), bytesMax), intent.text, 'latin1');
}

function resolveAcl(
  paths: readonly (readonly [RawPath, ModelNode])[],
  intent: EditIntent,
): TreeEdit | null {
  const holders = paths.filter(([, node]) => node.type === 'file' || node.type === 'dir');
  const [path, node] = holders[intent.pick % holders.length] ?? [];
  if (path === undefined || node === undefined) return null;
  const name = node.type === 'dir' && intent.other % 2 === 0 ? DEFAULT_ACL : ACCESS_ACL;
  if (node.xattrs.has(name) && intent.other % 3 === 0) return { op: 'remove-xattr', path, name };
  return { op: 'set-xattr', path, name, value: encodeAcl(1 + (intent.other % 7)) };
}

/** linux/posix_acl_xattr.h: version 2, then (tag, permissions, id) by tag. The owner keeps everything. */
function encodeAcl(permissions: number): Buffer {
  const nobody = 0xffff_ffff;
  const entries = [
    [0x01, 7, nobody],
    [0x02, permissions, 1000],
    [0x04, 5, nobody],
    [0x10, 7, nobody],
    [0x20, 5, nobody],
  ] as const;
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  for (const [index, [tag, rights, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + index * 8);
    bytes.writeUInt16LE(rights, 6 + index * 8);
    bytes.writeUInt32LE(id, 8 + index * 8);
  }
  return bytes;
}

export function runEditOnModel(tree: ModelTree, edit: TreeEdit, held: Held): void {
  switch (edit.op) {
    case 'exchange': {
      const [a, b] = [nodeAt(tree, edit.path), nodeAt(tree, edit.to)];
      putNode(tree, edit.path, b);
      putNode(tree, edit.to, a);
      return;
    }
    case 'punch': {
      const node = nodeAt(tree, edit.path);
      const length = Math.min(edit.length, node.content.length - edit.offset);
      patch(node, edit.offset, Buffer.alloc(length));
      return;
    }
    case 'map-write':
      patch(nodeAt(tree, edit.path), edit.offset, edit.content);
      return;
    case 'hold': {
      const node = nodeAt(tree, edit.path);
      held.set(edit.key, { node, bytes: node.content.length });
      return;
    }
    case 'store-held': {
      const mapping = held.get(edit.key);
      if (mapping === undefined) throw new Error(`No mapping ${edit.key} is held.`);
      patch(mapping.node, edit.offset, edit.content);
      return;
    }
    case 'let-go':
      held.delete(edit.key);
      return;
    default:
      if ('name' in edit && isAcl(edit.name)) return;
      runOnModel(tree, edit);
  }
}

function patch(node: ModelNode, offset: number, content: Buffer): void {
  const changed = Buffer.from(node.content);
  content.copy(changed, offset);
  node.content = changed;
}

/** The model takes over what the kernel decided about every entry. */
export function absorbFacts(tree: ModelTree, facts: readonly EntryFacts[]): void {
  for (const [path, mode, uid, gid, mtimeNs, acls] of facts) {
    const node = findNode(tree, path as RawPath);
    // An entry that one side lacks is the comparison's to report.
    if (node === null) continue;
    Object.assign(node, { mode, uid, gid, mtimeNs: BigInt(mtimeNs) });
    for (const name of node.xattrs.keys()) if (isAcl(name)) node.xattrs.delete(name);
    for (const [name, value] of Object.entries(acls)) {
      node.xattrs.set(name, Buffer.from(value, 'latin1'));
    }
  }
}

function isAcl(name: string): boolean {
  return name.startsWith('system.posix_acl_');
}
