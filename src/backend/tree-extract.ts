/**
 * Writing captured paths under another directory.
 *
 * The paths keep their place: `a/b` becomes `<directory>/a/b`, with the directories on the way.
 * Nothing that is there already is touched: an existing target is refused before anything is
 * written.
 */
import { mkdirSync } from 'node:fs';
import { GhostsnapError } from '../core/errors.ts';
import { displayPath, parentOf, type RawPath, rawFromText } from '../core/raw-path.ts';
import type { ApplyResult, TreeReader, WorkOptions } from './backend.ts';
import { type DirectoryTree, openDirectoryTree } from './directory-tree.ts';
import { sayStep } from './labelled-step.ts';
import { PathSet } from './path-set.ts';
import { errnoOf, toGhostsnapError } from './syscall-failure.ts';
import { applyTree } from './tree-apply.ts';

export interface ExtractRequest extends WorkOptions {
  readonly source: TreeReader;
  /** Each with everything below it. '' is the whole tree: the directory must be empty then. */
  readonly paths: readonly RawPath[];
  /** Absolute; made when it does not exist. */
  readonly toDirectory: string;
  readonly onStep?: (label: string) => void;
}

/**
 * @throws GhostsnapError PATH_NOT_IN_SNAPSHOT, TARGET_EXISTS, POOL_FULL, INTERRUPTED,
 * RESTORE_FAILED
 */
export async function extractTree(request: ExtractRequest): Promise<ApplyResult> {
  const { source, paths, toDirectory, ...work } = request;
  for (const path of paths) assertCaptured(source, path);
  makeDirectory(toDirectory);
  sayStep('extract:directory-made');
  using target = openDirectoryTree(toDirectory, 'live');
  for (const path of paths) assertFree(target, path, toDirectory);
  return await applyTree({
    livePath: `/proc/self/fd/${target.rootFd}`,
    source,
    subtreeRoots: new PathSet(paths),
    sameContent: () => 'unknown',
    onStep: sayStep,
    ...work,
  });
}

function assertCaptured(source: TreeReader, path: RawPath): void {
  if (source.lookup(path) !== null) return;
  const shown = displayPath(path);
  throw new GhostsnapError('PATH_NOT_IN_SNAPSHOT', `The snapshot does not hold ${shown}`, {
    data: { path: shown },
    hint: 'Look for the path with "ghostsnap diff" or "ghostsnap show".',
  });
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EEXIST' || errno === 'ENOTDIR') throw noDirectory(path, error);
    const context = { what: 'Making the directory', path: rawFromText(path) };
    throw toGhostsnapError(error, { ...context, fallback: 'RESTORE_FAILED' });
  }
}

function noDirectory(path: string, cause: unknown): GhostsnapError {
  return new GhostsnapError(
    'TARGET_EXISTS',
    `Something that is no directory is in the way: ${path}`,
    {
      data: { path },
      hint: 'Name a directory, there or not there yet.',
      cause,
    },
  );
}

/** The path itself must be free, and what is on the way to it must be directories. */
function assertFree(target: DirectoryTree, path: RawPath, toDirectory: string): void {
  if (path === '') {
    if (target.readDirectory(path).length > 0) throw exists(path, toDirectory);
    return;
  }
  if (target.lookup(path) !== null) throw exists(path, toDirectory);
  for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
    const entry = target.lookup(above);
    if (entry !== null && entry.type !== 'dir') throw exists(above, toDirectory);
  }
}

function exists(path: RawPath, toDirectory: string): GhostsnapError {
  const shown = displayPath(path);
  const where = shown === '' ? toDirectory : `${toDirectory}/${shown}`;
  return new GhostsnapError('TARGET_EXISTS', `Something is already there: ${where}`, {
    data: { path: where },
    hint: 'Name an empty directory, or remove what is there first.',
  });
}
