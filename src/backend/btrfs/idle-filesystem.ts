/**
 * Whether a btrfs has data that is not in its trees yet: dirty pages, or pages being written.
 *
 * A page that becomes dirty has space reserved first, whoever dirties it and however: for its data
 * (`data/bytes_may_use`; on an exhausted disk a file that may be overwritten in place does without) and
 * for the metadata that writing it needs (`metadata/bytes_may_use`, above the global reserve, always).
 * When it is written the data's reservation turns into `data/bytes_reserved`, until a transaction holds it.
 * So all of them at rest means that there is nothing. Read in that order: what moves on between two
 * readings has reached the next. World-readable in sysfs; the files stay open.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { errnoOf } from '../syscall-failure.ts';
import { filesystemInfo } from './ioctl.ts';

const COUNTERS = [
  'data/bytes_may_use',
  'metadata/bytes_may_use',
  'global_rsv_reserved',
  'data/bytes_reserved',
] as const;

/** Filesystems whose counters stay open: an engine has one pool, seldom a few. */
const FILESYSTEMS_MAX = 8;

const NUMBER_BYTES = 24;
const scratch = Buffer.alloc(NUMBER_BYTES);

export class IdleFilesystems implements Disposable {
  /** Descriptors in the order of COUNTERS, by the filesystem's UUID. */
  readonly #open = new Map<string, readonly number[]>();

  /** False: this kernel, or this container, does not show the counters. */
  isReadable(fd: number): boolean {
    return this.#counters(fd) !== null;
  }

  /** @param fd anything on the filesystem */
  isIdle(fd: number): boolean {
    const files = this.#counters(fd);
    if (files === null) return false;
    try {
      const [dataDirty, metadata, globalReserve, dataWriting] = files.map(readNumber);
      return dataDirty === 0 && metadata === globalReserve && dataWriting === 0;
    } catch (error) {
      // ENODEV: unmounted and mounted again since, which makes the counters new ones.
      if (errnoOf(error) === '') throw error;
      this[Symbol.dispose]();
      return false;
    }
  }

  [Symbol.dispose](): void {
    for (const files of this.#open.values()) for (const file of files) closeSync(file);
    this.#open.clear();
  }

  #counters(fd: number): readonly number[] | null {
    const { fsid } = filesystemInfo(fd);
    const known = this.#open.get(fsid);
    if (known !== undefined) return known;
    if (this.#open.size >= FILESYSTEMS_MAX) this[Symbol.dispose]();
    const files = openCounters(fsid);
    if (files !== null) this.#open.set(fsid, files);
    return files;
  }
}

function openCounters(fsid: string): readonly number[] | null {
  const uuid = fsid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  const files: number[] = [];
  try {
    for (const name of COUNTERS) {
      files.push(openSync(`/sys/fs/btrfs/${uuid}/allocation/${name}`, 'r'));
    }
    return files;
  } catch (error) {
    for (const file of files) closeSync(file);
    // ENOENT: no sysfs, or data and metadata share their space ("mixed") and cannot be told apart.
    if (errnoOf(error) === '') throw error;
    return null;
  }
}

function readNumber(file: number): number {
  const length = readSync(file, scratch, 0, NUMBER_BYTES, 0);
  return Number(scratch.toString('latin1', 0, length));
}
