/**
 * Opening a pool: its catalog, its locks, its backend, put together.
 *
 * The backend's code is loaded when the pool needs it, so that a command on a btrfs pool does not pay
 * for the store, nor the other way round.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Backend } from '../backend/backend.ts';
import { withCodedFailures } from '../backend/coded-backend.ts';
import { openCatalog } from '../catalog/open-catalog.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { Catalog } from '../engine/ports.ts';
import type { EnginePorts } from '../engine/workspace-session.ts';
import { createPoolFileLocks, type FileLocks } from '../locks/file-locks.ts';
import type { ServiceLocks } from '../locks/service-locks.ts';
import { GHOST_DIRECTORY, type PoolRecord } from '../pool/pool.ts';
import { type Home, poolDirectory } from './home.ts';
import { processTelemetry } from './process-telemetry.ts';
import { readPool } from './registry.ts';
import { systemClock, systemEntropy } from './system-ports.ts';

export interface OpenPoolOptions {
  readonly home: Home;
  readonly pool: PoolRecord;
  /** 'on': a long-lived engine that watches its workspaces; 'off': a short command. */
  readonly watch: 'on' | 'off';
}

export interface OpenPool extends EnginePorts {
  readonly record: PoolRecord;
  readonly backend: Backend;
  readonly catalog: Catalog;
  readonly locks: FileLocks;
}

export interface ServicePool extends OpenPool {
  readonly locks: ServiceLocks;
}

/** @throws GhostsnapError POOL_NOT_FOUND */
export function requirePool(home: Home, name: string): PoolRecord {
  const record = readPool(home, name);
  if (record !== null) return record;
  throw new GhostsnapError('POOL_NOT_FOUND', `There is no pool ${name}.`, {
    hint: 'List the pools with "ghostsnap pool list".',
    data: { pool: name },
  });
}

/**
 * Opens a pool, or joins an opening of this process: workspaces of one pool share its catalog's connection,
 * which each commit of another connection would make read its pages again. A btrfs backend serves them
 * all as well. A catalog that was set aside meanwhile is not joined: another file has its name.
 * @throws GhostsnapError POOL_NOT_MOUNTED, CATALOG_CORRUPT, FORMAT_TOO_NEW
 */
export async function openPool(options: OpenPoolOptions): Promise<OpenPool> {
  const { pool } = options;
  assertReachable(pool);
  // Nothing is awaited after this: two callers at once must not both find nothing to join.
  const createBackend = await loadBackend(options);
  const opening = joinOpening(options);
  opening.users += 1;
  const parts = opening.withBtrfs ?? { ...opening.index, backend: createBackend() };
  if (pool.kind !== 'store') opening.withBtrfs = parts;
  openings.set(parts, opening);
  return parts;
}

async function loadBackend({
  pool,
  watch,
}: Pick<OpenPoolOptions, 'pool' | 'watch'>): Promise<() => Backend> {
  if (pool.kind !== 'store') {
    const { createBtrfsBackend } = await import('../backend/btrfs/btrfs-backend.ts');
    return () => withCodedFailures(createBtrfsBackend());
  }
  const { createStoreBackend } = await import('../backend/store/store-backend.ts');
  return () => withCodedFailures(createStoreBackend({ watch }));
}

interface Opening {
  readonly index: Omit<OpenPool, 'backend'>;
  readonly catalogInode: number;
  withBtrfs: OpenPool | null;
  users: number;
}

/** By what makes an opening the same one. */
const joinable = new Map<string, Opening>();
const openings = new WeakMap<OpenPool, Opening>();

/**
 * Opens a pool for a service, which works in it alone from now on: its commits are grouped and it hands
 * out the locks itself. Whatever else of this process opens the pool or a workspace in it joins this opening.
 * `closePool` gives it back.
 * @throws GhostsnapError as `openPool`; LOCKED while commands are at work in it, or another service is
 */
export async function openServicePool(
  options: Pick<OpenPoolOptions, 'home' | 'pool'> & { readonly waitMs: number },
): Promise<ServicePool> {
  const { home, pool, waitMs } = options;
  assertReachable(pool);
  const [{ holdPool }, { openGroupedCatalog }, backend] = await Promise.all([
    import('../locks/service-locks.ts'),
    import('../catalog/grouped-catalog.ts'),
    makeBackend(pool, 'on'),
  ]);
  const locks = await holdPool({ directory: locksDirectory(options), purpose: 'serve', waitMs });
  try {
    const catalog = openGroupedCatalog({ file: catalogFile(options) });
    const index = { record: pool, catalog, locks, ...systemPorts() };
    const parts = { ...index, backend };
    const withBtrfs = pool.kind === 'store' ? null : parts;
    const opening = { index, catalogInode: catalogInode(options), withBtrfs, users: 1 };
    joinable.set(joiningKey(home, pool), opening);
    openings.set(parts, opening);
    return parts;
  } catch (error) {
    locks[Symbol.dispose]();
    throw error;
  }
}

function joiningKey(home: Home, pool: PoolRecord): string {
  return [poolDirectory(home, pool.name), home.config, pool.id, pool.root].join('\0');
}

function joinOpening(options: OpenPoolOptions): Opening {
  const key = joiningKey(options.home, options.pool);
  const known = joinable.get(key);
  if (known !== undefined && known.users > 0 && known.catalogInode === catalogInode(options)) {
    return known;
  }
  const index = openIndex(options);
  const opening = { index, catalogInode: catalogInode(options), withBtrfs: null, users: 0 };
  joinable.set(key, opening);
  return opening;
}

function catalogFile({ home, pool }: Pick<OpenPoolOptions, 'home' | 'pool'>): string {
  return path.join(poolDirectory(home, pool.name), 'catalog.db');
}

function locksDirectory({ home, pool }: Pick<OpenPoolOptions, 'home' | 'pool'>): string {
  return path.join(poolDirectory(home, pool.name), 'locks');
}

function catalogInode(options: Pick<OpenPoolOptions, 'home' | 'pool'>): number {
  return fs.statSync(catalogFile(options), { throwIfNoEntry: false })?.ino ?? -1;
}

/** The backend for a pool, its code loaded on use. */
export async function makeBackend(pool: PoolRecord, watch: 'on' | 'off'): Promise<Backend> {
  const create = await loadBackend({ pool, watch });
  return create();
}

/** The parts that do not depend on the kind of pool. */
export function openIndex(
  options: Pick<OpenPoolOptions, 'home' | 'pool'>,
): Omit<OpenPool, 'backend'> {
  const catalog = openCatalog({ file: catalogFile(options) });
  const locks = createPoolFileLocks(locksDirectory(options));
  return { record: options.pool, catalog, locks, ...systemPorts() };
}

function systemPorts(): Required<Pick<EnginePorts, 'clock' | 'entropy' | 'telemetry'>> {
  return { clock: systemClock, entropy: systemEntropy, telemetry: processTelemetry() };
}

/** A pool image that is not mounted leaves an empty directory: nothing may be written into that. */
export function assertReachable(pool: PoolRecord): void {
  if (fs.existsSync(path.join(pool.root, GHOST_DIRECTORY))) return;
  if (pool.kind === 'image') {
    throw new GhostsnapError('POOL_NOT_MOUNTED', `The pool ${pool.name} is not mounted.`, {
      hint: `Mount it with "ghostsnap pool mount ${pool.name}".`,
      data: { pool: pool.name, root: pool.root },
    });
  }
  throw new GhostsnapError(
    'POOL_NOT_FOUND',
    `Nothing of the pool ${pool.name} is at ${pool.root}`,
    {
      hint: 'Mount the filesystem it is on, or bring the directory back.',
      data: { pool: pool.name, root: pool.root },
    },
  );
}

/** Leaves the pool: what the last user of an opening leaves is closed. */
export async function closePool(pool: OpenPool): Promise<void> {
  const opening = openings.get(pool);
  if (pool !== opening?.withBtrfs) await pool.backend[Symbol.asyncDispose]();
  if (opening !== undefined && !leave(opening)) return;
  if (pool === opening?.withBtrfs) await pool.backend[Symbol.asyncDispose]();
  closeIndex(pool);
}

/** The same without waiting; what the backend has open is left to the process's end. */
export function closePoolSync(pool: OpenPool): void {
  const opening = openings.get(pool);
  if (opening === undefined || leave(opening)) closeIndex(pool);
}

/** True: that was the last user. */
function leave(opening: Opening): boolean {
  opening.users -= 1;
  return opening.users === 0;
}

function closeIndex(pool: OpenPool): void {
  pool.catalog[Symbol.dispose]();
  pool.locks[Symbol.dispose]();
}
