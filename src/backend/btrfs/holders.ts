/**
 * Who holds a tree: processes that stand in it or have something of it open, and mounts.
 *
 * After an exchange they would keep the old tree without noticing. A subvolume has a device number of
 * its own, so one stat of /proc/PID/{cwd,root,exe,fd/N} says whether it lies inside, whatever it is called
 * and even when it is deleted. What others hold may lie on a server that does not answer: it is not asked.
 * Mappings are matched by the path in /proc/PID/maps. Processes of other users can't be looked into without
 * privilege: they are counted, and the answer says so.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { errnoOf } from '../syscall-failure.ts';
import { knownDevice } from '../syscalls-inode-linux.ts';
import { mountsInside, parseMountinfo } from './mount-table.ts';

export interface HeldTree {
  /** Absolute path of the subvolume's root, without symlinks. */
  readonly path: string;
  /** `st_dev` of the subvolume. */
  readonly dev: number;
}

export interface Holders {
  /** What holds the tree, for people; null: nothing that could be seen. */
  readonly holder: string | null;
  /** Processes that could not be looked into. */
  readonly unreadable: number;
}

export function findHolders(tree: HeldTree): Holders {
  const mount = findMount(tree);
  if (mount !== null) return { holder: mount, unreadable: 0 };
  let unreadable = 0;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const use = useBy(pid, tree);
    if (use === 'unreadable') unreadable += 1;
    else if (use !== null) {
      return { holder: `process ${pid} (${nameOf(pid)}) has ${use}`, unreadable };
    }
  }
  return { holder: null, unreadable };
}

function findMount(tree: HeldTree): string | null {
  const seen = new Set<string>();
  const own = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  for (const pid of ['self', ...readdirSync('/proc').filter((name) => /^\d+$/.test(name))]) {
    const namespace = quietly(() => readlinkSync(`/proc/${pid}/ns/mnt`));
    if (namespace === null || seen.has(namespace)) continue;
    seen.add(namespace);
    const text = quietly(() => readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
    if (text === null) continue;
    const inside = mountsInside({ own, seen: parseMountinfo(text), path: tree.path });
    if (inside === null) continue;
    const where = pid === 'self' ? '' : ` (as process ${pid} sees it)`;
    return `a mount at ${inside}${where}`;
  }
  return null;
}

/** What a process holds in the tree. Its own open files do not count for this process. */
function useBy(pid: string, tree: HeldTree): string | 'unreadable' | null {
  const folder = `/proc/${pid}`;
  if (isInside(`${folder}/cwd`, tree)) return 'its working directory there';
  if (isInside(`${folder}/root`, tree)) return 'its root directory there';
  if (isInside(`${folder}/exe`, tree)) return 'its program there';
  if (Number(pid) === process.pid) return null;
  let descriptors: string[];
  let maps: string;
  try {
    descriptors = readdirSync(`${folder}/fd`);
    maps = readFileSync(`${folder}/maps`, 'utf8');
  } catch (error) {
    // ESRCH, ENOENT: it has ended meanwhile.
    return errnoOf(error) === 'EACCES' || errnoOf(error) === 'EPERM' ? 'unreadable' : null;
  }
  if (descriptors.some((fd) => isInside(`${folder}/fd/${fd}`, tree))) return 'a file open there';
  if (maps.includes(` ${tree.path}/`)) return 'a file mapped there';
  return null;
}

function isInside(link: string, tree: HeldTree): boolean {
  return knownDevice(link) === tree.dev;
}

function nameOf(pid: string): string {
  return quietly(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()) ?? 'unknown';
}

/** Processes end while they are looked at, and those of others can't be read: both are no answer. */
function quietly<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return null;
  }
}
