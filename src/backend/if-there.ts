/**
 * Reading what may be missing, and never taking for missing what can't be read.
 *
 * A look at whether something exists says no also where the disk fails, the way is closed or descriptors
 * have run out. Where "not there" means a default or permission to delete, that answer is wrong.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { ErrorCode } from '../core/errors.ts';
import { rawFromText } from '../core/raw-path.ts';
import { errnoOf, toGhostsnapError } from './syscall-failure.ts';

/** null: there is no such file. @throws GhostsnapError NOT_PERMITTED, LIMIT_EXCEEDED, IO or `fallback` */
export function readTextIfThere(file: string, fallback: ErrorCode = 'IO'): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw toGhostsnapError(error, { what: 'Reading', path: rawFromText(file), fallback });
  }
}

/** Empty where there is no such directory. @throws GhostsnapError NOT_PERMITTED, LIMIT_EXCEEDED, IO */
export function namesIfThere(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw toGhostsnapError(error, { what: 'Listing', path: rawFromText(directory) });
  }
}
