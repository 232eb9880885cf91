/**
 * What snapshots of a tree do not hold: mounts, nested subvolumes, sockets, devices, unreadable
 * paths.
 *
 * The full list looks at every entry; the quick one reads the kernel's table of mounts and looks at
 * nothing in the tree.
 */
import { readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GhostsnapError } from '../core/errors.ts';
import { joinRaw, type RawPath, ROOT_PATH, rawFromText } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader, UncoveredPath, WorkOptions } from './backend.ts';
import { DirectoryTree } from './directory-tree.ts';
import { interrupted } from './syscall-failure.ts';
import { closeFd } from './syscalls-linux.ts';

const ENTRIES_PER_TURN = 2048;

/** In walk order. Devices are listed because only root can make them again. */
export async function listUncovered(
  reader: TreeReader,
  options: WorkOptions = {},
): Promise<UncoveredPath[]> {
  const reading = new Reading(reader);
  const found: UncoveredPath[] = [];
  const stack: { path: RawPath; entries: readonly TreeEntry[]; next: number }[] = [];
  let seen = 0;
  const enter = (path: RawPath): void => {
    const entries = reading.entriesOf(path);
    if (entries === null) found.push({ path, reason: 'unreadable' });
    else stack.push({ path, entries, next: 0 });
  };
  enter(ROOT_PATH);
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const entry = top.entries[top.next];
    if (entry === undefined) {
      stack.pop();
      continue;
    }
    top.next += 1;
    const path = joinRaw(top.path, entry.name);
    const reason = reading.reasonOf(path, entry);
    if (reason !== null) found.push({ path, reason });
    else if (entry.type === 'dir') enter(path);
    seen += 1;
    if (seen % ENTRIES_PER_TURN !== 0) continue;
    await nextTurn();
    options.onProgress?.(seen, null);
    if (options.signal?.aborted === true) throw interrupted('Looking for uncovered paths');
  }
  return found;
}

class Reading {
  readonly #reader: TreeReader;
  readonly #user = process.geteuid?.() ?? 0;
  readonly #groups = new Set([process.getegid?.() ?? 0, ...(process.getgroups?.() ?? [])]);

  constructor(reader: TreeReader) {
    this.#reader = reader;
  }

  /** null: it can't be read. A directory that vanished has no entries. */
  entriesOf(path: RawPath): readonly TreeEntry[] | null {
    try {
      return this.#reader.readDirectory(path);
    } catch (error) {
      const errno = error instanceof GhostsnapError ? error.data.errno : undefined;
      if (errno === 'EACCES' || errno === 'EPERM') return null;
      if (errno === 'ENOENT' || errno === 'ENOTDIR') return [];
      throw error;
    }
  }

  reasonOf(path: RawPath, entry: TreeEntry): UncoveredPath['reason'] | null {
    switch (entry.type) {
      case 'mount':
      case 'subvolume':
      case 'socket':
        return entry.type;
      case 'chardev':
      case 'blockdev':
        return 'device';
      case 'file':
        return this.#isReadable(path, entry) ? null : 'unreadable';
      default:
        return null;
    }
  }

  /** The mode decides for nearly all; an ACL may allow what the mode does not, so a no is tried. */
  #isReadable(path: RawPath, entry: TreeEntry): boolean {
    if (this.#user === 0 || (entry.mode & this.#readBit(entry)) !== 0) return true;
    if (!(this.#reader instanceof DirectoryTree)) return true;
    try {
      closeFd(this.#reader.openFile(path));
      return true;
    } catch (error) {
      if (error instanceof GhostsnapError && error.data.errno === 'EACCES') return false;
      if (error instanceof GhostsnapError && error.data.errno === 'ENOENT') return true;
      throw error;
    }
  }

  #readBit(entry: TreeEntry): number {
    if (entry.uid === this.#user) return 0o400;
    return this.#groups.has(entry.gid) ? 0o040 : 0o004;
  }
}

/**
 * Mounts below a directory (absolute, real), by the kernel's table: nothing in the tree is looked
 * at.
 */
export function listMountsBelow(directory: string): UncoveredPath[] {
  const top = rawFromText(directory);
  const prefix = top === '/' ? '/' : `${top}/`;
  const found = new Set<RawPath>();
  for (const line of readFileSync('/proc/self/mountinfo', 'latin1').split('\n')) {
    const field = line.split(' ')[4];
    if (field === undefined) continue;
    const mountPoint = unescapeOctal(field);
    if (mountPoint.startsWith(prefix)) found.add(mountPoint.slice(prefix.length) as RawPath);
  }
  return [...found].sort().map((path) => ({ path, reason: 'mount' as const }));
}

/** mountinfo writes space, tab, newline and backslash as three octal digits. */
function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
