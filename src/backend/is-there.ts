/**
 * Whether there is something at a path, where the answer decides what is written over or given up.
 *
 * `existsSync` says no whenever it could not look: the disk gave EIO, a directory on the way may not be
 * searched. A catalog, an image or what a person's file held before was then taken for missing, and
 * made anew in its place. Here only ENOENT and ENOTDIR are a no.
 */
import { statSync } from 'node:fs';

/** A symlink is what it leads to. @throws the error of the system call when nobody can tell */
export function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
