/**
 * The encoding of one directory: the node of the Merkle tree.
 *
 * Canonical: equal directories have equal bytes, so the SHA-256 of the bytes names the object, and two
 * trees with the same name at some directory are equal below it. The decoder accepts nothing that the
 * encoder would have written differently.
 *
 *   directory  = "GSDIR" version:u8(1) count:varuint entry{count}      entries in byte order of names
 *   entry      = type:u8 parts:u8 name:text mode uid gid:varuint mtimeSec:i64 mtimeNsec:u32 body
 *                [nlink linkGroup:varuint] [flags:u8] [xattrs]
 *   parts      = 1: link group, 2: flags, 4: xattrs, 8: blob content, 16: clone content
 *   body       = file: size:varuint [id:32 bytes]   dir: id:32 bytes   symlink: target:text
 *                chardev, blockdev: rdev:varuint    everything else: nothing
 *   xattrs     = count:varuint { name:text length:varuint value }      in byte order of names
 *
 * Values of xattrs are kept inline whatever their size: the kernel allows 64 KiB, and the file that
 * holds the encoding is compressed.
 */
import type { RawName } from '../../core/raw-path.ts';
import type { EntryType } from '../../core/tree-entry.ts';
import { NO_XATTRS, type Xattr } from '../entry-xattrs.ts';
import { ByteReader, type ByteWriter, FormatError } from './binary-codec.ts';
import {
  type ContentRef,
  OBJECT_ID_BYTES,
  type ObjectId,
  type StoredEntry,
} from './stored-entry.ts';

const MAGIC = 'GSDIR';
const VERSION = 1;

const TYPES: readonly EntryType[] = [
  'file',
  'dir',
  'symlink',
  'fifo',
  'socket',
  'chardev',
  'blockdev',
  'subvolume',
  'mount',
];
const TYPE_CODES = new Map<EntryType, number>(TYPES.map((type, code) => [type, code]));

const HAS_LINKS = 1;
const HAS_FLAGS = 2;
const HAS_XATTRS = 4;
const HAS_BLOB = 8;
const HAS_CLONE = 16;

/** `entries` in byte order of names. */
export function encodeDirectory(writer: ByteWriter, entries: readonly StoredEntry[]): void {
  writer.fixedText(MAGIC);
  writer.u8(VERSION);
  writer.varuint(entries.length);
  for (const entry of entries) encodeEntry(writer, entry);
}

/** @throws FormatError */
export function decodeDirectory(bytes: Uint8Array): StoredEntry[] {
  const reader = new ByteReader(bytes);
  if (reader.fixedText(MAGIC.length) !== MAGIC) throw new FormatError('This is not a directory');
  const version = reader.u8();
  if (version > VERSION) {
    throw new FormatError(`The directory has the format ${version}`, 'too-new');
  }
  const count = reader.varuint();
  const entries: StoredEntry[] = [];
  let previous = '';
  for (let i = 0; i < count; i += 1) {
    const entry = decodeEntry(reader);
    if (entry.name <= previous) throw new FormatError('Entries of a directory are out of order');
    previous = entry.name;
    entries.push(entry);
  }
  reader.end();
  return entries;
}

/** Also used for the root, whose name is ''. */
export function encodeEntry(writer: ByteWriter, entry: StoredEntry): void {
  const { content, xattrs } = entry;
  const parts =
    (entry.linkGroup !== 0 ? HAS_LINKS : 0) |
    (entry.flags !== 0 ? HAS_FLAGS : 0) |
    (xattrs.length > 0 ? HAS_XATTRS : 0) |
    (content === null ? 0 : content.kind === 'blob' ? HAS_BLOB : HAS_CLONE);
  writer.u8(TYPE_CODES.get(entry.type) ?? 0);
  writer.u8(parts);
  writer.text(entry.name);
  writer.varuint(entry.mode);
  writer.varuint(entry.uid);
  writer.varuint(entry.gid);
  writer.i64(entry.mtimeSec);
  writer.u32(entry.mtimeNsec);
  encodeBody(writer, entry);
  if (entry.linkGroup !== 0) {
    writer.varuint(entry.nlink);
    writer.varuint(entry.linkGroup);
  }
  if (entry.flags !== 0) writer.u8(entry.flags);
  if (xattrs.length > 0) encodeXattrs(writer, xattrs);
}

function encodeBody(writer: ByteWriter, entry: StoredEntry): void {
  if (entry.type === 'file') {
    writer.varuint(entry.sizeBytes);
    if (entry.content !== null) writer.fixedText(entry.content.id);
  } else if (entry.type === 'dir') {
    writer.fixedText(entry.child);
  } else if (entry.type === 'symlink') {
    writer.text(entry.target);
  } else if (entry.type === 'chardev' || entry.type === 'blockdev') {
    writer.varuint(entry.rdev);
  }
}

function encodeXattrs(writer: ByteWriter, xattrs: readonly Xattr[]): void {
  writer.varuint(xattrs.length);
  for (const { name, value } of xattrs) {
    writer.text(name);
    writer.varuint(value.length);
    writer.bytes(value);
  }
}

/** @throws FormatError */
export function decodeEntry(reader: ByteReader): StoredEntry {
  const type = TYPES[reader.u8()];
  if (type === undefined) throw new FormatError('An entry has an unknown type');
  const parts = reader.u8();
  const name = reader.text() as RawName;
  const mode = reader.varuint();
  const uid = reader.varuint();
  const gid = reader.varuint();
  const mtimeSec = reader.i64();
  const mtimeNsec = reader.u32();
  const body = decodeBody(reader, type, parts);
  const hasLinks = (parts & HAS_LINKS) !== 0;
  const nlink = hasLinks ? reader.varuint() : 1;
  const linkGroup = hasLinks ? reader.varuint() : 0;
  const flags = (parts & HAS_FLAGS) !== 0 ? reader.u8() : 0;
  const xattrs = (parts & HAS_XATTRS) !== 0 ? decodeXattrs(reader) : NO_XATTRS;
  const own = { name, type, mode, uid, gid, mtimeSec, mtimeNsec };
  return { ...own, ...body, nlink, linkGroup, flags, xattrs };
}

type Body = Pick<StoredEntry, 'sizeBytes' | 'content' | 'child' | 'target' | 'rdev'>;
const NO_BODY: Body = { sizeBytes: 0, content: null, child: '', target: '', rdev: 0 };

function decodeBody(reader: ByteReader, type: EntryType, parts: number): Body {
  switch (type) {
    case 'file':
      return { ...NO_BODY, sizeBytes: reader.varuint(), content: decodeContent(reader, parts) };
    case 'dir':
      return { ...NO_BODY, child: reader.fixedText(OBJECT_ID_BYTES) as ObjectId };
    case 'symlink':
      return { ...NO_BODY, target: reader.text() };
    case 'chardev':
    case 'blockdev':
      return { ...NO_BODY, rdev: reader.varuint() };
    default:
      return NO_BODY;
  }
}

function decodeContent(reader: ByteReader, parts: number): ContentRef | null {
  if ((parts & (HAS_BLOB | HAS_CLONE)) === 0) return null;
  const kind = (parts & HAS_BLOB) !== 0 ? 'blob' : 'clone';
  return { kind, id: reader.fixedText(OBJECT_ID_BYTES) as ObjectId };
}

function decodeXattrs(reader: ByteReader): Xattr[] {
  const count = reader.varuint();
  const xattrs: Xattr[] = [];
  for (let i = 0; i < count; i += 1) {
    const name = reader.text();
    xattrs.push({ name, value: reader.bytes(reader.varuint()) });
  }
  return xattrs;
}
