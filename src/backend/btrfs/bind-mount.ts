/**
 * A workspace's tree mounted over its original directory, and reaching what is underneath.
 *
 * Mounting is one atomic step, and what was at the path stays below it: the original directory, which
 * is emptied when the copy is proven and gets its contents back on release. Root only.
 */
import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { GhostsnapError } from '../../core/errors.ts';
import { rawFromText } from '../../core/raw-path.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { MNT_DETACH, MS_BIND, mountFs, unmountFs } from '../syscalls-mount-linux.ts';
import { parseMountinfo } from './mount-table.ts';

export function isMountPoint(path: string): boolean {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')).some(
    (mount) => mount.path === path,
  );
}

/** @throws GhostsnapError NEEDS_ROOT, IO */
export function bindMount(source: string, target: string): void {
  try {
    mountFs({ source, target, type: '', flags: MS_BIND, data: '' });
  } catch (error) {
    if (errnoOf(error) === 'EPERM') throw needsRoot('Mounting', target, error);
    throw toGhostsnapError(error, { what: 'Mounting', path: rawFromText(target) });
  }
}

/** @throws GhostsnapError NEEDS_ROOT, WORKSPACE_BUSY */
export function unbind(target: string): void {
  try {
    unmountFs(target);
  } catch (error) {
    if (errnoOf(error) === 'EPERM') throw needsRoot('Unmounting', target, error);
    if (errnoOf(error) !== 'EBUSY') {
      throw toGhostsnapError(error, { what: 'Unmounting', path: rawFromText(target) });
    }
    throw new GhostsnapError('WORKSPACE_BUSY', `The workspace is in use: ${target}`, {
      data: { path: target },
      hint: `Find who holds it with "fuser -vm ${target}", end that, then try again.`,
      cause: error,
    });
  }
}

function needsRoot(what: string, path: string, cause: unknown): GhostsnapError {
  return new GhostsnapError('NEEDS_ROOT', `${what} needs root: ${path}`, {
    data: { path },
    hint: 'Run the command with sudo.',
    cause,
  });
}

/**
 * Runs `work` with a descriptor of the directory that a mount at `path` covers (or of the directory
 * itself when nothing is mounted there). The way there is a second mount of the parent, without what is
 * mounted below it, in a private folder under `scratch`.
 */
export async function withCovered<T>(
  where: { readonly path: string; readonly scratch: string },
  work: (fd: number) => Promise<T>,
): Promise<T> {
  const view = mkdtempSync(`${where.scratch}/under-`);
  try {
    bindMount(dirname(where.path), view);
    try {
      const flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
      const fd = openAt(AT_FDCWD, rawFromText(`${view}/${basename(where.path)}`), flags);
      try {
        return await work(fd);
      } finally {
        closeFd(fd);
      }
    } finally {
      unmountFs(view, MNT_DETACH);
    }
  } finally {
    rmdirSync(view);
  }
}

/** Views that a killed run left under `scratch`. */
export function removeLeftViews(scratch: string): void {
  for (const name of readdirSync(scratch)) {
    if (!name.startsWith('under-')) continue;
    const view = `${scratch}/${name}`;
    if (isMountPoint(view)) unmountFs(view, MNT_DETACH);
    rmdirSync(view);
  }
}
