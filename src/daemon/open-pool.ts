/**
 * Opening a pool: its catalog, its locks, its backend, put together.
 *
 * The backend's code is loaded when the pool needs it, so that a command on a btrfs pool does not pay
 * for the store, nor the other way round.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Backend } from '../backend/backend.ts';
import { openCatalog } from '../catalog/open-catalog.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { Catalog } from '../engine/ports.ts';
import type { EnginePorts } from '../engine/workspace-session.ts';
import { createFileLocks, type FileLocks } from '../locks/file-locks.ts';
import { GHOST_DIRECTORY, type PoolRecord } from '../pool/pool.ts';
import { type Home, poolDirectory } from './home.ts';
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

/** @throws GhostsnapError POOL_NOT_FOUND */
export function requirePool(home: Home, name: string): PoolRecord {
  const record = readPool(home, name);
  if (record !== null) return record;
  throw new GhostsnapError('POOL_NOT_FOUND', `There is no pool ${name}.`, {
    hint: 'List the pools with "ghostsnap pool list".',
    data: { pool: name },
  });
}

/** @throws GhostsnapError POOL_NOT_MOUNTED, CATALOG_CORRUPT, FORMAT_TOO_NEW */
export async function openPool(options: OpenPoolOptions): Promise<OpenPool> {
  const { pool } = options;
  assertReachable(pool);
  const backend = await makeBackend(pool, options.watch);
  return { ...openIndex(options), backend };
}

/** The backend for a pool, its code loaded on use. */
export async function makeBackend(pool: PoolRecord, watch: 'on' | 'off'): Promise<Backend> {
  return pool.kind === 'store'
    ? (await import('../backend/store/store-backend.ts')).createStoreBackend({ watch })
    : (await import('../backend/btrfs/btrfs-backend.ts')).createBtrfsBackend();
}

/** The parts that do not depend on the kind of pool. */
export function openIndex(
  options: Pick<OpenPoolOptions, 'home' | 'pool'>,
): Omit<OpenPool, 'backend'> {
  const directory = poolDirectory(options.home, options.pool.name);
  const catalog = openCatalog({ file: path.join(directory, 'catalog.db') });
  const locks = createFileLocks(path.join(directory, 'locks'));
  return { record: options.pool, catalog, locks, clock: systemClock, entropy: systemEntropy };
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

/** Closes what `openPool` opened. */
export async function closePool(pool: OpenPool): Promise<void> {
  await pool.backend[Symbol.asyncDispose]();
  pool.catalog[Symbol.dispose]();
  pool.locks[Symbol.dispose]();
}
