/**
 * One entry of a stored directory, and what it refers to.
 *
 * It is a TreeEntry without what only a live tree has (ctime, inode numbers), plus references: the
 * content of a file, the object of a child directory. Two stored entries with equal fields stand for the
 * same state of a path; an id is 32 bytes, held as a string of one unit a byte.
 */
import type { RawName } from '../../core/raw-path.ts';
import type { EntryType, TreeEntry } from '../../core/tree-entry.ts';
import type { Xattr } from '../entry-xattrs.ts';

/** 32 bytes, one unit a byte. A SHA-256, or 32 random bytes where nothing was read (`clone`). */
export type ObjectId = string & { readonly __objectId: true };
export const OBJECT_ID_BYTES = 32;

/**
 * directory: named by the SHA-256 of its encoding. blob: a copied, perhaps compressed content, named by
 * the SHA-256 of the content. clone: a reflink of the file, named by a random id, because nothing is read.
 */
export type ObjectKind = 'directory' | 'blob' | 'clone';

export interface ContentRef {
  readonly kind: 'blob' | 'clone';
  readonly id: ObjectId;
}

export interface StoredEntry {
  readonly name: RawName;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Seconds (floored) and nanoseconds (0 to 999,999,999) since the epoch. */
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly rdev: number;
  /** 0x10 immutable, 0x20 append-only. */
  readonly flags: number;
  /** For a file with more than one link: the inode number it had, which its other paths share. Else 0. */
  readonly linkGroup: number;
  /** 1 for everything but files of a link group: a directory's count follows from its entries. */
  readonly nlink: number;
  /** null for an empty file and for everything that is not a file. */
  readonly content: ContentRef | null;
  /** The object of a child directory, else ''. */
  readonly child: ObjectId | '';
  /** The target of a symlink, else ''. */
  readonly target: string;
  /** Sorted by name. */
  readonly xattrs: readonly Xattr[];
}

/** The entry as every reader of a tree gives it. */
export function toTreeEntry(entry: StoredEntry): TreeEntry {
  return {
    name: entry.name,
    type: entry.type,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    sizeBytes: entry.sizeBytes,
    mtimeNs: BigInt(entry.mtimeSec) * 1_000_000_000n + BigInt(entry.mtimeNsec),
    ino: entry.linkGroup,
    nlink: entry.nlink,
    ctimeNs: 0n,
    rdev: entry.rdev,
    flags: entry.flags,
  };
}

export function sameRef(a: ContentRef | null, b: ContentRef | null): boolean {
  if (a === null || b === null) return a === b;
  return a.id === b.id && a.kind === b.kind;
}
