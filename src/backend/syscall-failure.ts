/**
 * From a failed system call to the error a person reads.
 *
 * One table says which code an errno gets and what to do about it. Errors that are GhostsnapErrors
 * already pass unchanged, and so do bugs (TypeError and the like): only errors with an errno are
 * translated.
 */
import { type ErrorCode, GhostsnapError } from '../core/errors.ts';
import { displayPath } from '../core/raw-path.ts';

export interface FailureContext {
  /** What was being done, as the start of a sentence: "Writing", "Reading the directory". */
  readonly what: string;
  /** The path it was done to, one unit a byte; '' is shown as the workspace's root. */
  readonly path: string;
  /** The code for errnos that say nothing more precise. Default IO. */
  readonly fallback?: ErrorCode;
}

interface Meaning {
  readonly code: ErrorCode | 'fallback';
  readonly hint: string;
}

const DENIED: Meaning = {
  code: 'NOT_PERMITTED',
  hint: 'Give your user access to the path, or run the command as the user who owns it.',
};
const FULL: Meaning = {
  code: 'POOL_FULL',
  hint: 'Free some space (prune old snapshots, delete files), then run the same command again.',
};
const RACED: Meaning = {
  code: 'fallback',
  hint: 'Another process changed the tree meanwhile; stop it, then run the same command again.',
};

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: { code: 'NOT_PERMITTED', hint: 'The filesystem is mounted read-only; remount it.' },
  ENOENT: RACED,
  ENOTDIR: RACED,
  EEXIST: RACED,
  ENOTEMPTY: RACED,
  ELOOP: RACED,
  EXDEV: { code: 'fallback', hint: 'A mount lies in the way; unmount it, then try again.' },
  EBUSY: { code: 'fallback', hint: 'The path is in use (a mount?); release it, then try again.' },
  ETXTBSY: { code: 'fallback', hint: 'The file is in use; stop the program that holds it.' },
  EMFILE: { code: 'LIMIT_EXCEEDED', hint: 'Raise the limit on open files ("ulimit -n").' },
  ENFILE: { code: 'LIMIT_EXCEEDED', hint: 'The system has too many open files; close some.' },
  EIO: { code: 'IO', hint: 'The disk reported an error; look at the kernel log ("dmesg").' },
};

/** What glibc says for an errno: all that is left of it in an error of `rmSync`. */
const TEXTS: Readonly<Record<string, string>> = {
  'No space left on device': 'ENOSPC',
  'Disk quota exceeded': 'EDQUOT',
  'Too many open files': 'EMFILE',
  'Too many open files in system': 'ENFILE',
  'Permission denied': 'EACCES',
  'Operation not permitted': 'EPERM',
  'Read-only file system': 'EROFS',
  'Device or resource busy': 'EBUSY',
  'Directory not empty': 'ENOTEMPTY',
  'Invalid cross-device link': 'EXDEV',
  'Interrupted system call': 'EINTR',
};

/** Errnos of Linux that Node has no name for: `Unknown system error -122`. */
const UNNAMED: Readonly<Record<string, string>> = {
  61: 'ENODATA',
  116: 'ESTALE',
  117: 'EUCLEAN',
  122: 'EDQUOT',
};

/** The errno's name of a SyscallError or of one of Node's own errors; '' for anything else. */
export function errnoOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return '';
  const code = error.code;
  if (code === '' && 'syscall' in error && error.syscall === 'rm') return errnoOfRemoval(error);
  if (typeof code !== 'string') return '';
  const [, unnamed] = /^Unknown system error -([0-9]+)$/.exec(code) ?? [];
  if (unnamed !== undefined) return UNNAMED[unnamed] ?? 'EIO';
  return /^E[A-Z0-9]+$/.test(code) ? code : '';
}

/** Node 24's `rmSync` gives most errors no code: `, Unknown error: Too many open files '/path'`. */
function errnoOfRemoval({ message }: Error): string {
  const [, text = ''] = /Unknown error: ([^']+?) '/.exec(message) ?? [];
  return TEXTS[text] ?? 'EIO';
}

/** `path` as a person sees it. */
export function shownPath(path: string): string {
  return path === '' ? 'the root of the tree' : displayPath(path);
}

/**
 * The GhostsnapError for a failed call: ENOSPC and EDQUOT are POOL_FULL, EACCES, EPERM and EROFS
 * are NOT_PERMITTED, EIO is IO, everything else `fallback`. An error without an errno comes back as
 * it is.
 */
export function toGhostsnapError(error: unknown, context: FailureContext): Error {
  if (error instanceof GhostsnapError) return error;
  const errno = errnoOf(error);
  if (errno === '') return error instanceof Error ? error : new Error(String(error));
  const fallback = context.fallback ?? 'IO';
  const meaning = MEANINGS[errno];
  const code = meaning === undefined || meaning.code === 'fallback' ? fallback : meaning.code;
  const message = `${context.what} failed with ${errno}: ${shownPath(context.path)}`;
  return new GhostsnapError(code, message, {
    data: { path: displayPath(context.path), errno },
    hint: meaning?.hint ?? 'Look at the kernel log ("dmesg"), then run the same command again.',
    cause: error,
  });
}

/** For an abort between two paths. */
export function interrupted(what: string): GhostsnapError {
  return new GhostsnapError('INTERRUPTED', `${what} was interrupted between two paths.`, {
    hint: 'Run the same command again: it carries on from where it stopped.',
  });
}
