/**
 * What a program may do to a workspace, as values: each operation runs the same way on the model and on
 * a real directory. An operation is only ever run where it can succeed (see operation-arbitrary.ts).
 *
 * Times come from the real filesystem: after an operation the model takes over the mtimes it finds
 * (`absorbTimes`), so nothing hides what the kernel does.
 */
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import {
  makeNodeAt,
  removeXattr,
  setMtimeAt,
  setXattr,
} from '../../src/backend/syscalls-entry-linux.ts';
import { AT_FDCWD } from '../../src/backend/syscalls-linux.ts';
import { type RawPath, rawFromText } from '../../src/core/raw-path.ts';
import {
  findNode,
  type ModelTree,
  makeNode,
  nodeAt,
  putNode,
  removeNode,
  walkTree,
} from './model-tree.ts';

export type Operation =
  | { readonly op: 'write'; readonly path: RawPath; readonly content: Buffer }
  /** Writes inside the file and puts its mtime back, as a careful editor or an attacker would. */
  | {
      readonly op: 'overwrite-quietly';
      readonly path: RawPath;
      readonly offset: number;
      readonly content: Buffer;
    }
  | { readonly op: 'append'; readonly path: RawPath; readonly content: Buffer }
  | { readonly op: 'truncate'; readonly path: RawPath; readonly sizeBytes: number }
  | { readonly op: 'rename'; readonly path: RawPath; readonly to: RawPath }
  | { readonly op: 'link'; readonly path: RawPath; readonly to: RawPath }
  | { readonly op: 'symlink'; readonly path: RawPath; readonly target: string }
  | { readonly op: 'mkdir'; readonly path: RawPath }
  | { readonly op: 'fifo'; readonly path: RawPath }
  /** Whatever is there, with all below it. */
  | { readonly op: 'remove'; readonly path: RawPath }
  | { readonly op: 'chmod'; readonly path: RawPath; readonly mode: number }
  | { readonly op: 'chown'; readonly path: RawPath; readonly uid: number; readonly gid: number }
  | { readonly op: 'utimes'; readonly path: RawPath; readonly mtimeNs: bigint }
  | {
      readonly op: 'set-xattr';
      readonly path: RawPath;
      readonly name: string;
      readonly value: Buffer;
    }
  | { readonly op: 'remove-xattr'; readonly path: RawPath; readonly name: string };

export function runOnModel(tree: ModelTree, operation: Operation): void {
  const { path } = operation;
  switch (operation.op) {
    case 'write': {
      const node = findNode(tree, path) ?? makeNode('file');
      node.content = Buffer.from(operation.content);
      putNode(tree, path, node);
      return;
    }
    case 'overwrite-quietly': {
      const node = nodeAt(tree, path);
      const end = operation.offset + operation.content.length;
      const content = Buffer.alloc(Math.max(end, node.content.length));
      node.content.copy(content);
      operation.content.copy(content, operation.offset);
      node.content = content;
      return;
    }
    case 'append': {
      const node = nodeAt(tree, path);
      node.content = Buffer.concat([node.content, operation.content]);
      return;
    }
    case 'truncate': {
      const node = nodeAt(tree, path);
      const content = Buffer.alloc(operation.sizeBytes);
      node.content.copy(content);
      node.content = content;
      return;
    }
    case 'rename': {
      const node = nodeAt(tree, path);
      // rename(2) of two names of one file does nothing at all.
      if (findNode(tree, operation.to) === node) return;
      removeNode(tree, path);
      putNode(tree, operation.to, node);
      return;
    }
    case 'link':
      putNode(tree, operation.to, nodeAt(tree, path));
      return;
    case 'symlink':
      putNode(tree, path, makeNode('symlink', { target: operation.target }));
      return;
    case 'mkdir':
      putNode(tree, path, makeNode('dir'));
      return;
    case 'fifo':
      putNode(tree, path, makeNode('fifo'));
      return;
    case 'remove':
      removeNode(tree, path);
      return;
    default:
      setModelAttribute(tree, operation);
  }
}

type AttributeOperation = Extract<
  Operation,
  { op: 'chmod' | 'chown' | 'utimes' | 'set-xattr' | 'remove-xattr' }
>;

function setModelAttribute(tree: ModelTree, operation: AttributeOperation): void {
  const node = nodeAt(tree, operation.path);
  if (operation.op === 'chmod') node.mode = operation.mode;
  else if (operation.op === 'chown') {
    node.uid = operation.uid;
    node.gid = operation.gid;
  } else if (operation.op === 'utimes') node.mtimeNs = operation.mtimeNs;
  else if (operation.op === 'set-xattr') node.xattrs.set(operation.name, operation.value);
  else node.xattrs.delete(operation.name);
}

/** Runs `operation` below the real directory `root`. */
export function runOnDirectory(root: string, operation: Operation): void {
  const path = realPath(root, operation.path);
  switch (operation.op) {
    case 'write':
      writeFileSync(path, operation.content, { mode: 0o644 });
      return;
    case 'overwrite-quietly': {
      const fd = openSync(path, 'r+');
      try {
        const { mtimeNs } = fstatSync(fd, { bigint: true });
        writeSync(fd, operation.content, 0, operation.content.length, operation.offset);
        setMtimeAt(AT_FDCWD, path.toString('latin1'), mtimeNs);
      } finally {
        closeSync(fd);
      }
      return;
    }
    case 'append':
      appendFileSync(path, operation.content);
      return;
    case 'truncate':
      truncateSync(path, operation.sizeBytes);
      return;
    case 'rename':
      renameSync(path, realPath(root, operation.to));
      return;
    case 'link':
      linkSync(path, realPath(root, operation.to));
      return;
    case 'symlink':
      symlinkSync(Buffer.from(operation.target, 'latin1'), path);
      return;
    case 'mkdir':
      mkdirSync(path, { mode: 0o755 });
      return;
    case 'fifo':
      makeNodeAt(AT_FDCWD, path.toString('latin1'), S_IFIFO | 0o644, 0);
      return;
    case 'remove':
      rmSync(path, { recursive: true });
      return;
    default:
      setRealAttribute(path, operation);
  }
}

const S_IFIFO = 0o010000;

function setRealAttribute(path: Buffer, operation: AttributeOperation): void {
  const raw = path.toString('latin1');
  if (operation.op === 'chmod') chmodSync(path, operation.mode);
  else if (operation.op === 'chown') chownSync(path, operation.uid, operation.gid);
  else if (operation.op === 'utimes') setMtimeAt(AT_FDCWD, raw, operation.mtimeNs);
  else if (operation.op === 'set-xattr') setXattr(raw, operation.name, operation.value);
  else removeXattr(raw, operation.name);
}

/** Gives the model the times, and the owner of new nodes, that the real directory has. */
export function absorbTimes(tree: ModelTree, root: string): void {
  for (const [path, node] of walkTree(tree)) {
    const info = lstatSync(realPath(root, path), { bigint: true });
    node.mtimeNs = info.mtimeNs;
    node.uid = Number(info.uid);
    node.gid = Number(info.gid);
  }
}

function realPath(root: string, path: RawPath): Buffer {
  return Buffer.from(path === '' ? rawFromText(root) : `${rawFromText(root)}/${path}`, 'latin1');
}
