/**
 * Files that are there whole or not at all, also after a power loss.
 *
 * Write under another name, sync, rename, sync the directory: the last step, because otherwise a power
 * loss may take back the rename that was already acknowledged.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf } from '../syscall-failure.ts';
import { writeFully } from './blob-file.ts';

export interface DurableFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Where it is written first; on the same filesystem. */
  readonly temporaryPath: string;
}

export function writeDurably({ path, bytes, temporaryPath }: DurableFile): void {
  const fd = openSync(temporaryPath, 'w', 0o600);
  try {
    writeFully(fd, bytes, null);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporaryPath, path);
  syncDirectory(dirname(path));
}

export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a directory and what is missing above it, durable on return. */
export function makeDirectoryDurably(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    if (errnoOf(error) !== 'ENOENT') throw error;
    makeDirectoryDurably(dirname(path));
    makeDirectoryDurably(path);
    return;
  }
  syncDirectory(dirname(path));
}

/** False: it was not there. The directory is not synced. */
export function removeFile(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
