/**
 * Keys and certificates on disk: written whole or not at all, and never opened to others for a moment.
 *
 * A new file is made with its permissions; it is never made first and closed afterwards.
 */
import fs from 'node:fs';
import path from 'node:path';
import { GhostsnapError } from '../../core/errors.ts';

/** @throws GhostsnapError TARGET_EXISTS, IO */
export function writeNew(file: string, text: string, mode: number): void {
  write(file, text, { mode, flags: 'wx' });
  syncDirectory(path.dirname(file));
}

/** The old file or the new one, also after a crash. @throws GhostsnapError IO */
export function writeOver(file: string, text: string, mode: number): void {
  const temporary = `${file}.${process.pid}.tmp`;
  fs.rmSync(temporary, { force: true });
  write(temporary, text, { mode, flags: 'wx' });
  fs.renameSync(temporary, file);
  syncDirectory(path.dirname(file));
}

/** For the owner only when it is made here; one that is there stays as it is. */
export function makePrivateDirectory(directory: string): void {
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw failure(directory, error);
  }
}

function write(file: string, text: string, { mode, flags }: { mode: number; flags: 'wx' }): void {
  try {
    const fd = fs.openSync(file, flags, mode);
    try {
      fs.writeFileSync(fd, text);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    throw failure(file, error);
  }
}

function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function failure(file: string, cause: unknown): GhostsnapError {
  const isThere = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
  const [code, message] = isThere
    ? (['TARGET_EXISTS', `There is something at ${file}`] as const)
    : (['IO', `Writing ${file} failed.`] as const);
  return new GhostsnapError(code, message, {
    hint: isThere ? 'Move it aside: it is not overwritten.' : 'Look at its directory.',
    data: { file },
    cause,
  });
}
