/**
 * Setting a broken catalog aside, so that a new one can be made in its place. Nothing is deleted: the
 * files stay beside it under a name of their own, and SQLite's tools open them there.
 */
import { closeSync, fsyncSync, openSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { isThere } from '../backend/is-there.ts';
import { sayStep } from '../backend/labelled-step.ts';

/**
 * The log goes before the database: a log that stayed behind would be played into the new file.
 */
const SUFFIXES = ['-wal', '-shm', '-journal', ''] as const;

/**
 * Moves `file` and what SQLite keeps beside it to `<file>.broken-<n>`. The caller holds the pool's lock
 * and has no connection open. After a kill half-way, calling it again finishes under the same name.
 * @returns the new path; null: there was no such file
 */
export function quarantineCatalog(file: string): string | null {
  if (!SUFFIXES.some((suffix) => isThere(file + suffix))) return null;
  let number = 1;
  while (isThere(`${file}.broken-${number}`)) number += 1;
  const target = `${file}.broken-${number}`;
  for (const suffix of SUFFIXES) {
    if (!isThere(file + suffix)) continue;
    renameSync(file + suffix, target + suffix);
    sayStep(`quarantine:moved${suffix}`);
  }
  const fd = openSync(dirname(file), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return target;
}
