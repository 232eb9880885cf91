/**
 * Managing pools: create, list, look at, mount, destroy.
 *
 * The record is written before the image is made and removed after it is gone, so that a crash leaves a
 * pool that is listed and can be destroyed, never an image that nobody knows.
 */
import fs from 'node:fs';
import path from 'node:path';
import { namesIfThere } from '../backend/if-there.ts';
import { isThere } from '../backend/is-there.ts';
import { sayStep } from '../backend/labelled-step.ts';
import { GhostsnapError } from '../core/errors.ts';
import { nextUlid, poolId } from '../core/ids.ts';
import {
  createImagePool,
  destroyImagePool,
  isImagePoolMounted,
  mountImagePool,
} from '../pool/image-pool.ts';
import { GHOST_DIRECTORY, type PoolRecord } from '../pool/pool.ts';
import { type Environment, type Home, poolDirectory, resolveHome } from './home.ts';
import { requirePool } from './open-pool.ts';
import { atPublicEdge } from './public-edge.ts';
import { recoverWorkspace } from './recover-workspace.ts';
import {
  listForgotten,
  listPoolRecords,
  listWorkspaceRecords,
  parsePoolName,
  readPool,
  removePool,
  type WorkspaceRecord,
  writePool,
} from './registry.ts';
import { systemClock, systemEntropy, systemEnvironment } from './system-ports.ts';

export interface PoolInfo {
  readonly id: string;
  readonly name: string;
  readonly kind: PoolRecord['kind'];
  readonly root: string;
  readonly image: string | null;
  readonly mounted: boolean;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Registered workspaces whose snapshots are in it. */
  readonly workspaces: number;
}

export interface PoolOptions {
  readonly name: string;
  readonly environment?: Environment;
}

/** Bytes of a new image when none are given: sparse, so only what is used is taken. */
const DEFAULT_IMAGE_BYTES = 16 * 2 ** 30;

/**
 * Makes and mounts a btrfs image pool.
 * @throws GhostsnapError POOL_EXISTS, NEEDS_ROOT, MISSING_TOOL, POOL_FULL
 */
export async function createPool(
  options: PoolOptions & { readonly sizeBytes?: number; readonly directory?: string },
): Promise<PoolInfo> {
  return await atPublicEdge('Making the pool', options.name, () => create(options));
}

async function create(
  options: PoolOptions & { readonly sizeBytes?: number; readonly directory?: string },
): Promise<PoolInfo> {
  const home = homeOf(options);
  const name = parsePoolName(options.name);
  if (readPool(home, name) !== null) {
    throw new GhostsnapError('POOL_EXISTS', `There is a pool ${name} already.`, {
      hint: `Take another name, or remove it with "ghostsnap pool destroy ${name}".`,
    });
  }
  const directory = options.directory ?? poolDirectory(home, name);
  const record: PoolRecord = {
    format: 1,
    id: poolId(nextUlid('', systemClock.nowMs(), systemEntropy.ulidRandom())),
    name,
    kind: 'image',
    root: path.join(path.resolve(directory), 'mount'),
    image: path.join(path.resolve(directory), 'pool.btrfs'),
    createdAtMs: systemClock.nowMs(),
  };
  writePool(home, record);
  try {
    await createImagePool({
      imagePath: imageOf(record),
      mountPath: record.root,
      sizeBytes: options.sizeBytes ?? DEFAULT_IMAGE_BYTES,
    });
  } catch (error) {
    // It has taken back what it made, and nothing but that: an image that was there before stays.
    removePool(home, name);
    throw error;
  }
  return describe(home, record);
}

export async function listPools(
  options: { readonly environment?: Environment } = {},
): Promise<PoolInfo[]> {
  const home = homeOf(options);
  return await atPublicEdge('Listing the pools', home.data, async () =>
    listPoolRecords(home).map((record) => describe(home, record)),
  );
}

/** @throws GhostsnapError POOL_NOT_FOUND */
export async function poolStatus(options: PoolOptions): Promise<PoolInfo> {
  return await atPublicEdge('Looking at the pool', options.name, () => status(options));
}

async function status(options: PoolOptions): Promise<PoolInfo> {
  const home = homeOf(options);
  return describe(home, requirePool(home, options.name));
}

/**
 * Mounts an image pool; one that is mounted already is left as it is. Workspaces that moved into it are
 * shown at their paths again: their mounts went with the pool's, at a reboot.
 * @throws GhostsnapError NEEDS_ROOT, and what a workspace that could not be shown throws, after the others
 */
export async function mountPool(options: PoolOptions): Promise<PoolInfo> {
  return await atPublicEdge('Mounting the pool', options.name, () => mount(options));
}

async function mount(options: PoolOptions): Promise<PoolInfo> {
  const home = homeOf(options);
  const record = requirePool(home, options.name);
  if (record.kind === 'image' && !isImagePoolMounted(record.root)) {
    await mountImagePool({ imagePath: imageOf(record), mountPath: record.root });
  }
  await showMovedWorkspaces(home, record.name, options.environment);
  return describe(home, record);
}

/** What a mount leaves that is gone. Anything else is shown already, or a tree that never moved. */
function isEmptyPlace(directory: string): boolean {
  return !isThere(directory) || fs.readdirSync(directory).length === 0;
}

async function showMovedWorkspaces(
  home: Home,
  pool: string,
  environment: Environment = systemEnvironment(),
): Promise<void> {
  const failures: unknown[] = [];
  for (const workspace of listWorkspaceRecords(home)) {
    if (workspace.pool !== pool || workspace.movedTo === null) continue;
    if (!isEmptyPlace(workspace.path)) continue;
    try {
      await recoverWorkspace({ workspace: workspace.path, environment });
    } catch (failure) {
      failures.push(failure);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/**
 * Removes a pool whole: mount, loop device, image, catalog, record.
 * @throws GhostsnapError POOL_IN_USE when workspaces have snapshots in it and `force` is not 'yes';
 *   a workspace whose files live in the pool is refused even then.
 */
export async function destroyPool(
  options: PoolOptions & { readonly force?: 'yes' | 'no' },
): Promise<{ readonly name: string }> {
  return await atPublicEdge('Removing the pool', options.name, () => destroy(options));
}

async function destroy(
  options: PoolOptions & { readonly force?: 'yes' | 'no' },
): Promise<{ readonly name: string }> {
  const home = homeOf(options);
  const record = requirePool(home, options.name);
  const users = usersOf(home, record);
  const living = users.filter((workspace) => workspace.movedTo !== null);
  const refusing = options.force === 'yes' ? living : users;
  if (refusing.length > 0) {
    throw new GhostsnapError(
      'POOL_IN_USE',
      `The pool ${record.name} is used by ${refusing.map((workspace) => workspace.path).join(', ')}`,
      {
        hint:
          living.length > 0
            ? 'Bring each workspace back first with "ghostsnap destroy -w DIR".'
            : 'Destroy those workspaces first, or pass --force to lose their snapshots.',
        data: { workspaces: refusing.map((workspace) => workspace.path) },
      },
    );
  }
  if (record.kind === 'image') {
    await destroyImagePool({
      imagePath: imageOf(record),
      mountPath: record.root,
      force: options.force ?? 'no',
    });
  } else {
    assertRemovable(record);
    fs.rmSync(path.join(record.root, GHOST_DIRECTORY), { recursive: true, force: true });
  }
  fs.rmSync(poolDirectory(home, record.name), { recursive: true, force: true });
  sayStep('pool:record-removed');
  return { name: record.name };
}

/** A btrfs pool's snapshots are subvolumes: each goes through its workspace's `destroy`. */
function assertRemovable(record: PoolRecord): void {
  const ghosts = path.join(record.root, GHOST_DIRECTORY);
  const held = namesIfThere(ghosts);
  if (record.kind !== 'btrfs' || held.length === 0) return;
  throw new GhostsnapError('POOL_IN_USE', `The pool ${record.name} still holds ${ghosts}`, {
    hint: 'Destroy its workspaces first with "ghostsnap destroy -w DIR".',
    data: { held },
  });
}

function describe(home: Home, record: PoolRecord): PoolInfo {
  const mounted = record.kind !== 'image' || isImagePoolMounted(record.root);
  const space = mounted && fs.existsSync(record.root) ? fs.statfsSync(record.root) : null;
  const workspaces = usersOf(home, record).length;
  const { id, name, kind, root, image } = record;
  return {
    ...{ id, name, kind, root, image, mounted, workspaces },
    totalBytes: space === null ? 0 : space.blocks * space.bsize,
    freeBytes: space === null ? 0 : space.bavail * space.bsize,
  };
}

/** Forgotten workspaces count: their snapshots are in the pool. */
function usersOf(home: Home, pool: PoolRecord): WorkspaceRecord[] {
  const records = [...listWorkspaceRecords(home), ...listForgotten(home)];
  return records.filter((record) => record.pool === pool.name);
}

function imageOf(record: PoolRecord): string {
  if (record.image !== null) return record.image;
  throw new GhostsnapError('BAD_CONFIG', `The record of the pool ${record.name} names no image.`, {
    hint: 'Restore its pool.json.',
  });
}

function homeOf(options: { readonly environment?: Environment }): Home {
  return resolveHome(options.environment ?? systemEnvironment());
}
