/**
 * Small JSON files that must never be half-written: pool and workspace records.
 *
 * Replaced whole (`replace-file.ts`): after a crash there is the old record or the new one. Read through
 * a schema: what does not fit is refused with the file's name.
 */
import fs from 'node:fs';
import path from 'node:path';
import { sayStep } from '../backend/labelled-step.ts';
import { toGhostsnapError } from '../backend/syscall-failure.ts';
import { GhostsnapError } from '../core/errors.ts';
import { rawFromText } from '../core/raw-path.ts';
import { replaceFile, syncDirectory } from './replace-file.ts';

/** The parsed JSON, or null when the file is not there. @throws GhostsnapError BAD_CONFIG, FORMAT_TOO_NEW */
export function readRecord<T>(file: string, parse: (value: unknown) => T | null): T | null {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return null;
    throw toGhostsnapError(error, { what: 'Reading', path: rawFromText(file) });
  }
  const value = parseJson(file, text);
  const format = formatOf(value);
  if (format !== null && format > 1) {
    throw new GhostsnapError('FORMAT_TOO_NEW', `A newer ghostsnap wrote ${file}`, {
      hint: 'Use the version that wrote it, or a newer one.',
      data: { file, format },
    });
  }
  const record = parse(value);
  if (record !== null) return record;
  throw broken(file);
}

/**
 * Replaces the record atomically and durably; its directory is made, for the owner only.
 * @throws GhostsnapError POOL_FULL, NOT_PERMITTED, IO: the old record is still there
 */
export function writeRecord(file: string, value: unknown): void {
  const directory = path.dirname(file);
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const text = `${JSON.stringify(value, null, 2)}\n`;
    replaceFile({ file, text, mode: 0o600, step: 'record' });
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Writing', path: rawFromText(file) });
  }
}

/** One that is already gone counts as removed. @throws GhostsnapError NOT_PERMITTED, IO */
export function removeRecord(file: string): void {
  try {
    fs.rmSync(file, { force: true });
    sayStep('record:removed');
    if (fs.existsSync(path.dirname(file))) syncDirectory(path.dirname(file));
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Removing', path: rawFromText(file) });
  }
}

function parseJson(file: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw broken(file, error);
  }
}

function formatOf(value: unknown): number | null {
  if (typeof value !== 'object' || value === null || !('format' in value)) return null;
  return typeof value.format === 'number' ? value.format : null;
}

function broken(file: string, cause?: unknown): GhostsnapError {
  return new GhostsnapError('BAD_CONFIG', `The file ${file} is not what ghostsnap wrote there.`, {
    hint: 'Move it aside and run "ghostsnap init" on the workspace again; snapshots are kept.',
    data: { file },
    cause,
  });
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
