/**
 * Random operations that always make sense.
 *
 * What fast-check generates is an intent: numbers, names and contents. `resolveIntent` turns it into an
 * operation on what the model holds at that moment, so that a shrunk sequence stays meaningful. null
 * means that nothing fits (no file to append to, say).
 */
import fc from 'fast-check';
import { isWithin, joinRaw, type RawName, type RawPath } from '../../src/core/raw-path.ts';
import { findNode, type ModelNode, type ModelTree, walkTree } from './model-tree.ts';
import type { Operation } from './operation.ts';

export const KINDS = [
  'write',
  'overwrite-quietly',
  'append',
  'truncate',
  'rename',
  'rename-over',
  'link',
  'symlink',
  'mkdir',
  'fifo',
  'remove',
  'turn-into-dir',
  'turn-into-file',
  'turn-into-symlink',
  'chmod',
  'chown',
  'utimes',
  'set-xattr',
  'remove-xattr',
] as const;

export interface Intent {
  readonly kind: (typeof KINDS)[number];
  readonly pick: number;
  readonly other: number;
  readonly name: RawName;
  /** A text, repeated up to so many bytes; kept apart so that a counterexample stays readable. */
  readonly text: string;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
}

/** Names that broke other programs: newlines, option look-alikes, invalid UTF-8, the longest allowed. */
export const NAMES: readonly string[] = [
  'a',
  'b',
  'src',
  '.env',
  '.git',
  'a.b',
  'a-b',
  '-rf',
  ' ',
  'new\nline',
  '\xff\xfe',
  '\xc3\xa4',
  '\xe2\x80\xae',
  'back\\slash',
  '*',
  'x'.repeat(255),
];

const XATTR_NAMES = ['user.one', 'user.two'];
const FILE_MODES = [0o644, 0o600, 0o755, 0o777];
const DIR_MODES = [0o755, 0o700, 0o1777, 0o711];
const TARGETS = ['a', '../..', '/etc/passwd', 'missing', '\xff', '.'];
const OWNERS = [0, 1000, 65534];

export const intentArbitrary: fc.Arbitrary<Intent> = fc.record({
  kind: fc.constantFrom(...KINDS),
  pick: fc.nat(1000),
  other: fc.nat(1000),
  name: fc.constantFrom(...NAMES) as fc.Arbitrary<RawName>,
  text: fc.string({ minLength: 1, maxLength: 12 }),
  // Inline in btrfs's tree, and past that and past one block.
  sizeBytes: fc.oneof(fc.nat(40), fc.integer({ min: 4000, max: 9000 })),
  mtimeNs: fc.bigInt({ min: -1_000_000_000_000n, max: 4_000_000_000_000_000_000n }),
});

/** What the person who runs the operations may do. */
export interface Actor {
  readonly canChown: boolean;
}

export function resolveIntent(tree: ModelTree, intent: Intent, actor: Actor): Operation | null {
  const paths = [...walkTree(tree)];
  const ofType = (...types: ModelNode['type'][]): RawPath[] =>
    paths.filter(([path, node]) => path !== '' && types.includes(node.type)).map(([path]) => path);
  const file = choose(ofType('file'), intent.pick);
  const any = choose(ofType('file', 'dir', 'symlink', 'fifo'), intent.pick);
  const fresh = freshPath(tree, paths, intent);
  switch (intent.kind) {
    case 'write':
      // Half of the writes overwrite, the others create.
      return intent.other % 2 === 0 && file !== null
        ? { op: 'write', path: file, content: contentOf(intent) }
        : fresh && { op: 'write', path: fresh, content: contentOf(intent) };
    case 'overwrite-quietly': {
      if (file === null || intent.sizeBytes === 0) return null;
      const size = findNode(tree, file)?.content.length ?? 0;
      const offset = size === 0 ? 0 : intent.other % size;
      return { op: 'overwrite-quietly', path: file, offset, content: contentOf(intent) };
    }
    case 'append':
      return file && { op: 'append', path: file, content: contentOf(intent) };
    case 'truncate':
      return file && { op: 'truncate', path: file, sizeBytes: intent.other * 13 };
    case 'rename':
      return any && fresh && !isWithin(fresh, any) ? { op: 'rename', path: any, to: fresh } : null;
    case 'rename-over': {
      const over = choose(ofType('file', 'symlink', 'fifo'), intent.other);
      return file && over ? { op: 'rename', path: file, to: over } : null;
    }
    case 'link':
      return file && fresh && { op: 'link', path: file, to: fresh };
    case 'symlink':
      return fresh && { op: 'symlink', path: fresh, target: target(intent) };
    case 'mkdir':
      return fresh && { op: 'mkdir', path: fresh };
    case 'fifo':
      return fresh && { op: 'fifo', path: fresh };
    case 'remove':
      return any && { op: 'remove', path: any };
    default:
      return resolveAttribute(tree, intent, any, actor);
  }
}

/** `turn-into-*` is two operations: this is the second one, run after `remove` of the same path. */
export function resolveTurn(intent: Intent, path: RawPath): Operation | null {
  if (intent.kind === 'turn-into-dir') return { op: 'mkdir', path };
  if (intent.kind === 'turn-into-file') return { op: 'write', path, content: contentOf(intent) };
  if (intent.kind === 'turn-into-symlink') return { op: 'symlink', path, target: target(intent) };
  return null;
}

function resolveAttribute(
  tree: ModelTree,
  intent: Intent,
  path: RawPath | null,
  actor: Actor,
): Operation | null {
  if (path === null) return null;
  if (intent.kind.startsWith('turn-into-')) return { op: 'remove', path };
  const node = findNode(tree, path);
  if (intent.kind === 'utimes') return { op: 'utimes', path, mtimeNs: intent.mtimeNs };
  // Linux has no mode and no user attributes on symlinks, and no user attributes on FIFOs.
  if (node === null || node.type === 'symlink') return null;
  if (intent.kind === 'chmod') {
    // A plain user's own writes would fail on a read-only file; root's never do.
    const fileModes = actor.canChown ? [...FILE_MODES, 0o444] : FILE_MODES;
    const modes = node.type === 'dir' ? DIR_MODES : fileModes;
    return { op: 'chmod', path, mode: modes[intent.other % modes.length] ?? 0o755 };
  }
  if (intent.kind === 'chown') {
    const uid = OWNERS[intent.other % OWNERS.length] ?? 0;
    const gid = OWNERS[intent.pick % OWNERS.length] ?? 0;
    return actor.canChown ? { op: 'chown', path, uid, gid } : null;
  }
  if (node.type === 'fifo') return null;
  const name = XATTR_NAMES[intent.other % XATTR_NAMES.length] ?? 'user.one';
  if (intent.kind === 'set-xattr') {
    return { op: 'set-xattr', path, name, value: contentOf(intent).subarray(0, 60) };
  }
  return node.xattrs.has(name) ? { op: 'remove-xattr', path, name } : null;
}

/** A path that does not exist, in a directory that does. */
function freshPath(
  tree: ModelTree,
  paths: readonly (readonly [RawPath, ModelNode])[],
  intent: Intent,
): RawPath | null {
  const directories = paths.filter(([, node]) => node.type === 'dir').map(([path]) => path);
  const parent = choose(directories, intent.other);
  if (parent === null) return null;
  const path = joinRaw(parent, intent.name);
  // Deeper trees come in examples of their own; here they would pass PATH_MAX by chance.
  return findNode(tree, path) === null && path.length < 1000 ? path : null;
}

function choose<T>(list: readonly T[], pick: number): T | null {
  return list[pick % Math.max(list.length, 1)] ?? null;
}

function contentOf({ text, sizeBytes }: Intent): Buffer {
  return sizeBytes === 0 ? Buffer.alloc(0) : Buffer.alloc(sizeBytes, text);
}

function target(intent: Intent): string {
  return TARGETS[intent.other % TARGETS.length] ?? 'a';
}
