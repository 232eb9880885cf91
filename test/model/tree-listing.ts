/**
 * Canonical listings: the same lines that test/checker/tree-digest.py prints, made from the model and
 * from a TreeReader, so that model, snapshot and live directory are compared line by line.
 */
import { createHash } from 'node:crypto';
import type { TreeReader } from '../../src/backend/backend.ts';
import { joinRaw, type RawPath, ROOT_PATH } from '../../src/core/raw-path.ts';
import type { TreeEntry } from '../../src/core/tree-entry.ts';
import { type ModelTree, walkTree } from './model-tree.ts';

interface Row {
  readonly path: RawPath;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  /** Equal for hard links of one file; null for directories. */
  readonly linkKey: unknown;
  readonly content: string;
  readonly xattrs: readonly { readonly name: string; readonly value: Uint8Array }[];
}

const READ_BYTES = 1 << 20;

export function listModel(tree: ModelTree): string[] {
  const rows: Row[] = [];
  for (const [path, node] of walkTree(tree)) {
    rows.push({
      ...node,
      path,
      sizeBytes: node.content.length,
      linkKey: node.type === 'dir' ? null : node,
      content:
        node.type === 'file'
          ? hashOf(node.content)
          : node.type === 'symlink'
            ? escapeBytes(node.target)
            : '-',
      xattrs: [...node.xattrs].sort().map(([name, value]) => ({ name, value })),
    });
  }
  return renderRows(rows);
}

/** Contents are never changed in place, so each is hashed once. */
const hashes = new WeakMap<Buffer, string>();

function hashOf(content: Buffer): string {
  let known = hashes.get(content);
  if (known === undefined) {
    known = createHash('sha256').update(content).digest('hex');
    hashes.set(content, known);
  }
  return known;
}

/** Reads the whole tree through the product's reader. */
export function listReader(reader: TreeReader): string[] {
  const rows: Row[] = [];
  const visit = (path: RawPath, entry: TreeEntry): void => {
    rows.push(rowOfEntry(reader, path, entry));
    if (entry.type !== 'dir') return;
    for (const child of reader.readDirectory(path)) visit(joinRaw(path, child.name), child);
  };
  visit(ROOT_PATH, reader.root());
  return renderRows(rows);
}

function rowOfEntry(reader: TreeReader, path: RawPath, entry: TreeEntry): Row {
  return {
    ...entry,
    path,
    // A backend need not keep the number of a file that has one name only.
    linkKey: entry.type === 'dir' || entry.nlink < 2 ? null : entry.ino,
    content:
      entry.type === 'file'
        ? hashFile(reader, path, entry.sizeBytes)
        : entry.type === 'symlink'
          ? escapeBytes(reader.readLink(path))
          : '-',
    xattrs: reader.readXattrs(path),
  };
}

function hashFile(reader: TreeReader, path: RawPath, sizeBytes: number): string {
  const hash = createHash('sha256');
  let offset = 0;
  while (offset < sizeBytes) {
    const piece = reader.readFile(path, offset, Math.min(READ_BYTES, sizeBytes - offset));
    if (piece.length === 0) throw new Error(`${path} ends at ${offset} of ${sizeBytes} bytes.`);
    hash.update(piece);
    offset += piece.length;
  }
  return hash.digest('hex');
}

function renderRows(rows: readonly Row[]): string[] {
  const groups = new Map<unknown, RawPath[]>();
  for (const { linkKey, path } of rows) {
    if (linkKey === null) continue;
    const group = groups.get(linkKey);
    if (group === undefined) groups.set(linkKey, [path]);
    else group.push(path);
  }
  return rows.map((row) => {
    const group = groups.get(row.linkKey) ?? [];
    const links = group.length > 1 ? `${escapeBytes(group[0] ?? '')}*${group.length}` : '-';
    return [
      escapeBytes(row.path) || '.',
      row.type,
      row.mode.toString(8).padStart(4, '0'),
      row.uid,
      row.gid,
      row.type === 'file' ? row.sizeBytes : '-',
      row.mtimeNs,
      links,
      row.content,
      row.xattrs
        .map(({ name, value }) => `${escapeBytes(name)}=${Buffer.from(value).toString('hex')}`)
        .join(';'),
      '-',
    ].join('\t');
  });
}

/** Printable ASCII stays, everything else becomes `\xHH`. */
/** As the witness prints a path. */
export function escapeBytes(raw: string): string {
  return raw.replace(
    /[^\x21-\x5b\x5d-\x7e]/g,
    (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}

/** The lines on one side only, for the message of a failed comparison; '' when equal. */
export function describeDifference(expected: readonly string[], actual: readonly string[]): string {
  const left = new Set(expected);
  const right = new Set(actual);
  return [
    ...expected.filter((line) => !right.has(line)).map((line) => `expected ${line}`),
    ...actual.filter((line) => !left.has(line)).map((line) => `     got ${line}`),
  ].join('\n');
}
