/**
 * What one directory entry is, as far as ghostsnap captures it.
 *
 * An entry is a plain value: whoever reads a tree (live directory, btrfs snapshot, manifest, model)
 * gives the same values for the same tree, so comparing trees means comparing entries. Inode numbers
 * and ctimes are not part of what is captured; they serve as evidence of "unchanged" only.
 */
import type { RawName } from './raw-path.ts';

/**
 * `subvolume` and `mount` are boundaries: they are listed, never entered, never captured, never
 * deleted. `socket`, `chardev` and `blockdev` are noted; only root can make devices again.
 */
export type EntryType =
  | 'file'
  | 'dir'
  | 'symlink'
  | 'fifo'
  | 'socket'
  | 'chardev'
  | 'blockdev'
  | 'subvolume'
  | 'mount';

export interface TreeEntry {
  readonly name: RawName;
  readonly type: EntryType;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; 0 for everything but regular files. */
  readonly sizeBytes: number;
  /** Nanoseconds since the epoch, may be negative. */
  readonly mtimeNs: bigint;
  /** The inode's number and link count where it was read; hard links of one tree share `ino`. */
  readonly ino: number;
  readonly nlink: number;
  /** Nanoseconds; evidence only, never restored. 0n where the tree is not a live one. */
  readonly ctimeNs: bigint;
  /** Device number of a device node, else 0. */
  readonly rdev: number;
  /**
   * Inode flags that forbid changes: 0x10 immutable, 0x20 append-only. Absent where they are unknown;
   * given back by root only.
   */
  readonly flags?: number;
}

export function isBoundary(type: EntryType): boolean {
  return type === 'subvolume' || type === 'mount';
}

/** Sockets are bound by a process and cannot be brought back; boundaries are other people's trees. */
export function isCaptured(type: EntryType): boolean {
  return type !== 'socket' && !isBoundary(type);
}
