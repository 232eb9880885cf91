/**
 * Which pool a workspace gets when none was named.
 *
 * Snapshots share blocks with the workspace only on its own filesystem, and must lie outside of it:
 * what a tool call destroys must not hold the way back. So the pool is looked for in ghostsnap's own
 * data directory, then at the top of the filesystem, then beside the workspace; the first that is on the
 * same filesystem, outside the workspace and writable is taken. A store that can share nothing anyway
 * goes to the data directory, never to a pool of another disk, which may be unplugged.
 */
import fs from 'node:fs';
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';
import { nextUlid, poolId } from '../core/ids.ts';
import { GHOST_DIRECTORY, type PoolRecord } from '../pool/pool.ts';
import { type Home, poolDirectory } from './home.ts';
import { isInside, listPoolRecords, parsePoolName, readPool, writePool } from './registry.ts';
import { systemClock, systemEntropy } from './system-ports.ts';

/** What the choice needs to know of a path's filesystem. */
export interface FilesystemFacts {
  /** Equal for all paths of one filesystem, also for every subvolume of one btrfs. */
  readonly id: string;
  readonly mountPoint: string;
  readonly canReflink: boolean;
}

export interface ChoosePoolOptions {
  readonly home: Home;
  readonly uid: number;
  readonly workspacePath: string;
  readonly backend: 'btrfs' | 'store';
  readonly filesystemOf: (path: string) => FilesystemFacts;
}

/** An existing pool that fits, or a new one, recorded and made. @throws GhostsnapError NOT_PERMITTED */
export function choosePool(options: ChoosePoolOptions): PoolRecord {
  const filesystem = options.filesystemOf(options.workspacePath);
  const usable = listPoolRecords(options.home).filter((pool) => isUsable(pool, options));
  const existing =
    usable.find((pool) => options.filesystemOf(pool.root).id === filesystem.id) ??
    usable.find((pool) => !mustBeNear(options) && isInside(pool.root, options.home.data));
  if (existing !== undefined) return existing;
  const name = freeName(options, filesystem.id);
  const own = path.join(poolDirectory(options.home, name), 'root');
  const hidden = `.ghostsnap-pool-${options.uid}`;
  const near = [
    own,
    path.join(filesystem.mountPoint, hidden),
    path.join(path.dirname(options.workspacePath), hidden),
  ];
  if (mustBeNear(options)) {
    for (const root of near) {
      if (isInside(root, options.workspacePath) || !tryMakeDirectory(root)) continue;
      if (options.filesystemOf(root).id === filesystem.id) return makePool(options, name, root);
      removeIfEmpty(root);
    }
  }
  // Nothing could be shared anyway, or nowhere near may be written: the store also works from afar.
  if (options.backend === 'store' && !isInside(own, options.workspacePath)) {
    fs.mkdirSync(own, { recursive: true, mode: 0o700 });
    return makePool(options, name, own);
  }
  throw new GhostsnapError(
    'NOT_PERMITTED',
    `No directory for snapshots of ${options.workspacePath} could be made on its filesystem.`,
    {
      hint: 'Name one with --pool DIR: writable, on the same filesystem, outside the workspace.',
      data: { path: options.workspacePath },
    },
  );
}

/** Records a pool at a directory that exists, and makes the directory its snapshots go to. */
export function makePool(
  options: Pick<ChoosePoolOptions, 'home' | 'backend'>,
  name: string,
  root: string,
): PoolRecord {
  const record: PoolRecord = {
    format: 1,
    id: poolId(nextUlid('', systemClock.nowMs(), systemEntropy.ulidRandom())),
    name: parsePoolName(name),
    kind: options.backend,
    root,
    image: null,
    createdAtMs: systemClock.nowMs(),
  };
  fs.mkdirSync(path.join(root, GHOST_DIRECTORY), { recursive: true, mode: 0o700 });
  writePool(options.home, record);
  return record;
}

/** btrfs cannot snapshot across filesystems; the store shares blocks only on its own. */
function mustBeNear(options: ChoosePoolOptions): boolean {
  return options.backend === 'btrfs' || options.filesystemOf(options.workspacePath).canReflink;
}

function isUsable(pool: PoolRecord, options: ChoosePoolOptions): boolean {
  if (pool.kind !== options.backend || isInside(pool.root, options.workspacePath)) return false;
  // One that can't be looked at (its disk is gone or fails) is no place for another workspace.
  return fs.existsSync(path.join(pool.root, GHOST_DIRECTORY));
}

function freeName(options: ChoosePoolOptions, filesystemId: string): string {
  const base = `${options.backend}-${filesystemId.replaceAll(/[^A-Za-z0-9]/g, '').slice(0, 12)}`;
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? base : `${base}-${n}`;
    if (readPool(options.home, name) === null) return name;
  }
}

function tryMakeDirectory(directory: string): boolean {
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    return true;
  } catch {
    // A candidate that cannot be made is passed over; when none can, the caller says so.
    return false;
  }
}

function removeIfEmpty(directory: string): void {
  try {
    fs.rmdirSync(directory);
  } catch {
    // It holds something or is somebody else's: it stays.
  }
}
