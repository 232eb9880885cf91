/**
 * What the index remembers of one inode: sixteen 32-bit words, copied from statx as they are.
 *
 * Words: 0 attributes, 1 nlink, 2 uid, 3 gid, 4 mode, 5-6 ino, 7-8 size, 9-10 ctime seconds, 11 ctime
 * nanoseconds, 12-13 mtime seconds, 14 mtime nanoseconds, 15 where the name is. Comparing two of them
 * is comparing words 0 to 14: a change of content, of attributes or of xattrs moves ctime, and nothing
 * a program can do brings an old ctime back.
 */
import type { RawStat } from '../directory-listing.ts';

export const RECORD_WORDS = 16;
export const RECORD_BYTES = RECORD_WORDS * 4;
export const NAME_WORD = 15;

/** Words of struct statx, in the order of the record. */
const STATX_WORDS = [2, 4, 5, 6, 7, 8, 9, 10, 11, 24, 25, 26, 28, 29, 30] as const;

/** Immutable and append-only: what is captured of the attributes; others (verity, DAX) come and go. */
const ATTRIBUTES_KEPT = 0x30;
const FORMAT_AND_MODE = 0xffff;
const U32 = 2 ** 32;

/**
 * The coarsest clock tick a kernel stamps files with (CONFIG_HZ=100), and a little: what changed within
 * it before a look may change again without another ctime.
 */
export const RACY_MS = 12;

export type Words = Uint32Array;

/** Writes the 15 words of `stat` at record `index`. */
export function storeRecord(records: Words, index: number, stat: RawStat): void {
  const from = stat.words;
  let at = index * RECORD_WORDS;
  for (let i = 0; i < STATX_WORDS.length; i += 1) {
    records[at] = from[STATX_WORDS[i] as number] as number;
    at += 1;
  }
  const first = index * RECORD_WORDS;
  records[first] = (records[first] as number) & ATTRIBUTES_KEPT;
  records[first + 4] = (records[first + 4] as number) & FORMAT_AND_MODE;
}

/** True when both stand for the same inode with the same attributes and ctime. */
export function sameRecord(a: Words, aIndex: number, b: Words, bIndex: number): boolean {
  const x = aIndex * RECORD_WORDS;
  const y = bIndex * RECORD_WORDS;
  for (let i = 14; i >= 0; i -= 1) if (a[x + i] !== b[y + i]) return false;
  return true;
}

/** As `sameRecord`, with what `stat` holds right now: the hot loop of a walk, so nothing is copied. */
export function isRecordOf(records: Words, index: number, stat: RawStat): boolean {
  const at = index * RECORD_WORDS;
  const now = stat.words;
  // In the order in which they most likely differ: ctime, inode, size, then everything else.
  return (
    records[at + 11] === now[26] &&
    records[at + 9] === now[24] &&
    records[at + 5] === now[8] &&
    records[at + 7] === now[10] &&
    records[at + 6] === now[9] &&
    records[at + 8] === now[11] &&
    records[at + 10] === now[25] &&
    records[at + 12] === now[28] &&
    records[at + 13] === now[29] &&
    records[at + 14] === now[30] &&
    records[at + 1] === now[4] &&
    records[at + 2] === now[5] &&
    records[at + 3] === now[6] &&
    records[at + 4] === ((now[7] as number) & FORMAT_AND_MODE) &&
    records[at] === ((now[2] as number) & ATTRIBUTES_KEPT)
  );
}

/** The record is no evidence for anything any more: no inode has this ctime. */
export function forgetCtime(records: Words, index: number): void {
  records.fill(0, index * RECORD_WORDS + 9, index * RECORD_WORDS + 12);
}

function word(records: Words, index: number, offset: number): number {
  return records[index * RECORD_WORDS + offset] as number;
}

/** Milliseconds with fractions; only to compare with a moment. */
export function ctimeMsOf(records: Words, index: number): number {
  const seconds = (word(records, index, 10) | 0) * U32 + word(records, index, 9);
  return seconds * 1000 + word(records, index, 11) / 1e6;
}

export function ctimeNsOf(records: Words, index: number): bigint {
  const seconds = (word(records, index, 10) | 0) * U32 + word(records, index, 9);
  return BigInt(seconds) * 1_000_000_000n + BigInt(word(records, index, 11));
}

export interface RecordFields {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly ino: number;
  readonly sizeBytes: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly flags: number;
  /** S_IFMT bits. */
  readonly format: number;
}

export function fieldsOf(records: Words, index: number): RecordFields {
  const mode = word(records, index, 4);
  return {
    mode: mode & 0o7777,
    format: mode & 0xf000,
    uid: word(records, index, 2),
    gid: word(records, index, 3),
    nlink: word(records, index, 1),
    ino: inoOf(records, index),
    sizeBytes: word(records, index, 7) + word(records, index, 8) * U32,
    mtimeSec: (word(records, index, 13) | 0) * U32 + word(records, index, 12),
    mtimeNsec: word(records, index, 14),
    flags: word(records, index, 0),
  };
}

export function inoOf(records: Words, index: number): number {
  return word(records, index, 5) + word(records, index, 6) * U32;
}

export function formatOf(records: Words, index: number): number {
  return word(records, index, 4) & 0xf000;
}

/** Permission bits; the type stays. */
export function setModeOf(records: Words, index: number, mode: number): void {
  records[index * RECORD_WORDS + 4] = formatOf(records, index) | mode;
}

export function nlinkOf(records: Words, index: number): number {
  return word(records, index, 1);
}

export const S_IFDIR = 0x4000;
export const S_IFREG = 0x8000;
export const S_IFSOCK = 0xc000;
