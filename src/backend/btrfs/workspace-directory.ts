/**
 * A workspace's own directory in the pool, `<pool>/.ghostsnap/<workspace id>/`, kept open.
 *
 * Holds the read-only snapshots `ghost_<ulid>`, `workspace.json`, `pins/`, announcements of swaps
 * (`live_<uuid>`), and working names (`WORKING_NAMES`) that recovery may remove. The descriptor and the
 * record are cached, so that a snapshot opens nothing but the workspace itself. The cache is bounded: a
 * host may have more workspaces than descriptors. Nothing else in the directory is ever touched.
 */
import { readdirSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import type { WorkspaceId } from '../../core/ids.ts';
import { displayPath, rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { recordMissing } from '../record-missing.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { readLinkAt, symlinkAt, unlinkAt } from '../syscalls-entry-linux.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import { hasUuid, SUBVOLUME_ROOT_INO } from './ioctl.ts';
import { readRecord, type WorkspaceRecord, writeRecord } from './workspace-record.ts';

const GHOST_DIRECTORY = '.ghostsnap';

/** Prefixes of names that only exist while something is under way, or was when the power went. */
export const WORKING_NAMES = ['clone_', 'compare_', 'doomed_', 'init_'] as const;

/** Trees that swaps left aside; removed when nobody holds them. */
export const REPLACED_PREFIX = 'replaced_';

/** Symlinks `live_<uuid>` to the UUID of the subvolume that it replaces. */
const ANNOUNCED_PREFIX = 'live_';
const ANNOUNCED = /^live_[0-9a-f]{32}$/;

/** Well below the common soft limit of 1024 open files. */
const OPEN_DIRECTORIES_MAX = 256;

export function ghostDirectoryOf(ref: WorkspaceRef): string {
  return `${ref.poolRoot}/${GHOST_DIRECTORY}/${ref.id}`;
}

const statx = new Statx();

export class WorkspaceDirectory {
  readonly ref: WorkspaceRef;
  /** Absolute, as text. */
  readonly path: string;
  /** Calls in flight on `fd`: it is not closed under them. */
  users = 0;
  readonly #rawLivePath: string;
  #fd = -1;
  #record: WorkspaceRecord | null = null;
  /** The subvolume last seen at the path, 16 bytes. */
  #liveUuid: Buffer | null = null;

  constructor(ref: WorkspaceRef) {
    this.ref = ref;
    this.path = ghostDirectoryOf(ref);
    this.#rawLivePath = rawFromText(ref.path);
  }

  /** @throws GhostsnapError POOL_NOT_MOUNTED, WORKSPACE_NOT_FOUND, NOT_PERMITTED */
  get fd(): number {
    if (this.#fd < 0) this.#fd = openPoolDirectory(this.ref, this.path);
    return this.#fd;
  }

  /** `work` gets the descriptor, which is not closed for want of room before it has settled. */
  async whileOpen<T>(work: (fd: number) => Promise<T>): Promise<T> {
    const { fd } = this;
    this.users += 1;
    try {
      return await work(fd);
    } finally {
      this.users -= 1;
    }
  }

  /** @throws GhostsnapError WORKSPACE_NOT_FOUND, FORMAT_TOO_NEW, FORMAT_UNKNOWN */
  get record(): WorkspaceRecord {
    this.#record ??= readRecord(this.path);
    if (this.#record !== null) return this.#record;
    throw recordMissing(this.ref, `${this.path}/workspace.json`);
  }

  /** Durable on return. */
  saveRecord(record: WorkspaceRecord): void {
    writeRecord(this.path, record);
    this.#record = record;
    this.#liveUuid = null;
  }

  /** Forgets what was read and opened; the next use reads again. */
  forget(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
    this.#record = null;
    this.#liveUuid = null;
  }

  /**
   * Opens the workspace's root and proves that it is the workspace. The caller closes the descriptor.
   * @throws GhostsnapError WORKSPACE_GONE, WORKSPACE_REPLACED, NOT_PERMITTED
   */
  openLive(): number {
    const fd = openLivePath(this.#rawLivePath);
    try {
      // A directory inside the workspace has the workspace's UUID as well, hence the inode number.
      if (statx.read(fd, '').ino !== SUBVOLUME_ROOT_INO) throw replaced(this.ref);
      if (this.#liveUuid === null || !isSubvolume(fd, this.#liveUuid)) this.#proveLive(fd);
      return fd;
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  #proveLive(fd: number): void {
    // Another process may have swapped since the record was read.
    this.#record = null;
    const isLive = (uuid: string): boolean => isSubvolume(fd, Buffer.from(uuid, 'hex'));
    const uuid = this.record.subvolumes.find(isLive) ?? this.announced().find(isLive);
    if (uuid === undefined) throw replaced(this.ref);
    this.#liveUuid = Buffer.from(uuid, 'hex');
  }

  /** Subvolumes that swaps are about to put, or have put, at the path. */
  announced(): readonly string[] {
    return readdirSync(this.path)
      .filter((name) => ANNOUNCED.test(name))
      .map((name) => name.slice(ANNOUNCED_PREFIX.length));
  }

  /**
   * Accepts a subvolume at the path in the place of another, before it gets there. Only a name is made:
   * it reaches the disk with the transaction of the exchange that follows or with an earlier one, so no
   * sync is needed between the two.
   */
  announce(swap: { readonly uuid: string; readonly replaces: string }): void {
    symlinkAt(swap.replaces, this.fd, `${ANNOUNCED_PREFIX}${swap.uuid}`);
  }

  /** The subvolume in whose place this one was put; null: none. */
  predecessorOf(uuid: string): string | null {
    const isAnnounced = this.announced().includes(uuid);
    return isAnnounced ? readLinkAt(this.fd, `${ANNOUNCED_PREFIX}${uuid}`) : null;
  }

  /** From here on only this subvolume may stand at the path. Durable on return. */
  narrowTo(uuid: string, phase: WorkspaceRecord['phase'] = 'active'): void {
    this.saveRecord({ ...this.record, subvolumes: [uuid], phase });
    for (const other of this.announced()) unlinkAt(this.fd, `${ANNOUNCED_PREFIX}${other}`);
  }
}

/** Descriptors of workspaces' directories, least recently used first out. */
export class WorkspaceDirectories implements Disposable {
  readonly #open = new Map<WorkspaceId, WorkspaceDirectory>();

  of(ref: WorkspaceRef): WorkspaceDirectory {
    const known = this.#open.get(ref.id);
    if (known !== undefined && isSameRef(known.ref, ref)) {
      if (this.#open.size > OPEN_DIRECTORIES_MAX / 2) {
        this.#open.delete(ref.id);
        this.#open.set(ref.id, known);
      }
      return known;
    }
    known?.forget();
    const directory = new WorkspaceDirectory(ref);
    this.#open.delete(ref.id);
    this.#open.set(ref.id, directory);
    this.#evict();
    return directory;
  }

  [Symbol.dispose](): void {
    for (const directory of this.#open.values()) directory.forget();
    this.#open.clear();
  }

  #evict(): void {
    if (this.#open.size <= OPEN_DIRECTORIES_MAX) return;
    for (const [id, directory] of this.#open) {
      if (directory.users > 0) continue;
      directory.forget();
      this.#open.delete(id);
      return;
    }
  }
}

function isSameRef(a: WorkspaceRef, b: WorkspaceRef): boolean {
  return a === b || (a.path === b.path && a.poolRoot === b.poolRoot);
}

function isSubvolume(fd: number, uuid: Buffer): boolean {
  try {
    return hasUuid(fd, uuid);
  } catch (error) {
    // ENOTTY: another filesystem is mounted there now.
    if (errnoOf(error) === 'ENOTTY' || errnoOf(error) === 'EINVAL') return false;
    throw error;
  }
}

function openLivePath(raw: string): number {
  try {
    return openAt(AT_FDCWD, raw, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ELOOP') throw gone(raw, error);
    if (errno === 'EACCES') throw closed(raw, error);
    throw toGhostsnapError(error, { what: 'Opening the workspace', path: raw });
  }
}

function closed(raw: string, cause: unknown): GhostsnapError {
  const path = displayPath(raw);
  const message = `The workspace can't be opened by this user: ${path}`;
  return new GhostsnapError('NOT_PERMITTED', message, {
    data: { path, errno: 'EACCES' },
    hint: `Open it with "chmod u+rwx ${path}", or run the command as the user who owns it.`,
    cause,
  });
}

function gone(raw: string, cause: unknown): GhostsnapError {
  const path = displayPath(raw);
  return new GhostsnapError('WORKSPACE_GONE', `There is no directory any more at ${path}`, {
    data: { path },
    hint: 'If it was moved, run "ghostsnap recover" there; if deleted, roll back a snapshot.',
    cause,
  });
}

export function replaced(ref: WorkspaceRef): GhostsnapError {
  return new GhostsnapError(
    'WORKSPACE_REPLACED',
    `Another directory now stands at ${ref.path}: it is not the workspace ${ref.id} any more`,
    {
      data: { path: ref.path, workspace: ref.id },
      hint:
        'If its mount is missing, or it was moved, run "ghostsnap recover" where it is now. To give ' +
        'up its path, run "ghostsnap recover --forget" here.',
    },
  );
}

function openPoolDirectory(ref: WorkspaceRef, path: string): number {
  try {
    return openAt(AT_FDCWD, rawFromText(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') {
      throw toGhostsnapError(error, { what: 'Opening the pool', path: rawFromText(path) });
    }
    if (!statx.isThere(AT_FDCWD, rawFromText(`${ref.poolRoot}/${GHOST_DIRECTORY}`))) {
      throw new GhostsnapError('POOL_NOT_MOUNTED', `There is no pool at ${ref.poolRoot}`, {
        data: { path: ref.poolRoot },
        hint: 'Mount it: "ghostsnap pool mount".',
        cause: error,
      });
    }
    throw new GhostsnapError(
      'WORKSPACE_NOT_FOUND',
      `The pool at ${ref.poolRoot} knows no workspace ${ref.id}`,
      { data: { workspace: ref.id, pool: ref.poolRoot }, hint: 'Run "ghostsnap init" first.' },
    );
  }
}
