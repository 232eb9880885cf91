/**
 * Tries that need something fresh each time: init, destroy, a move into a pool, making, mounting and
 * removing a pool, and those of `registered-trials.ts` and `file-trials.ts`. What must hold: the directory
 * holds one whole tree, the same, at every instant; the same call, or its opposite, ends what was begun;
 * nothing is left of a pool that is gone.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  destroyPool,
  initWorkspace,
  listPools,
  mountPool,
  openWorkspace,
} from '../../src/index.ts';
import { FILE_OPERATIONS, type FileOperation, makeFileTrial } from './file-trials.ts';
import {
  causeOf,
  type FreshGround,
  FreshPlace,
  type FreshTrial,
  loopsOn,
  POOL,
  takeDown,
} from './fresh-place.ts';
import type { Bed } from './model-episode.ts';
import type { OperationCall } from './operations.ts';
import {
  makeRegisteredTrial,
  REGISTERED_OPERATIONS,
  type RegisteredOperation,
} from './registered-trials.ts';

/** `init-at`: with a directory for the snapshots; `init-subvolume`: of what is a subvolume already. */
const TREE_OPERATIONS = ['init', 'init-at', 'init-subvolume', 'destroy', 'move'] as const;
const POOL_OPERATIONS = ['pool-create', 'pool-mount', 'pool-destroy'] as const;
export const FRESH_OPERATIONS = [
  ...TREE_OPERATIONS,
  ...POOL_OPERATIONS,
  ...REGISTERED_OPERATIONS,
  ...FILE_OPERATIONS,
] as const;
type OwnOperation = (typeof TREE_OPERATIONS)[number] | (typeof POOL_OPERATIONS)[number];
export type FreshOperation = OwnOperation | RegisteredOperation | FileOperation;

/** Needs root: a mount. And only btrfs takes trees in, or has subvolumes. */
export function isPossible(op: FreshOperation, bed: Bed): boolean {
  if (op === 'init-subvolume') return bed.backend === 'btrfs';
  if (op !== 'move' && !isOneOf(POOL_OPERATIONS, op)) return true;
  return bed.backend === 'btrfs' && process.getuid?.() === 0;
}

function isOneOf<T extends string>(known: readonly T[], op: string): op is T {
  return known.some((name) => name === op);
}

class Fresh implements FreshTrial {
  readonly call: OperationCall;
  readonly #op: OwnOperation;
  readonly #place: FreshPlace;

  constructor(op: OwnOperation, ground: FreshGround) {
    this.#op = op;
    this.#place = new FreshPlace(ground);
    this.call = this.#callOf();
  }

  get environment() {
    return this.#place.environment;
  }

  get path() {
    return this.#place.path;
  }

  get #poolDirectory(): string {
    return join(this.#place.folder, 'pool');
  }

  #callOf(): OperationCall {
    switch (this.#op) {
      case 'init':
      case 'init-subvolume':
        return { op: 'init', backend: this.#place.bed.backend };
      case 'init-at':
        return { op: 'init', backend: this.#place.bed.backend, pool: this.#poolDirectory };
      case 'destroy':
        return { op: 'destroy' };
      case 'move':
        return { op: 'move', pool: POOL };
      case 'pool-create':
        return { op: 'pool-create', pool: POOL, directory: this.#poolDirectory };
      case 'pool-mount':
      case 'pool-destroy':
        return { op: this.#op, pool: POOL };
    }
  }

  async prepare(): Promise<void> {
    const { environment, path } = this;
    if (this.#op === 'move' || this.#op === 'pool-mount' || this.#op === 'pool-destroy') {
      await this.#place.createPool();
    }
    // As after a reboot.
    if (this.#op === 'pool-mount') takeDown(this.#place.folder);
    if (this.#op === 'init-at') mkdirSync(this.#poolDirectory);
    if (this.#op === 'init-subvolume') this.#place.makeSubvolume();
    if (this.#op === 'destroy') {
      await initWorkspace({ path, backend: this.#place.bed.backend, environment });
      await using workspace = await openWorkspace({ workspace: path, environment });
      await workspace.snapshot();
    }
    await this.#place.remember();
  }

  async judge(isAcknowledged: boolean): Promise<string[]> {
    const wrong: string[] = [];
    await this.#place.assertSame('right after', wrong);
    try {
      if (isOneOf(POOL_OPERATIONS, this.#op)) await this.#judgePool(isAcknowledged, wrong);
      else await this.#judgeTree(isAcknowledged, wrong);
    } catch (error) {
      wrong.push(`can't be brought to an end: ${causeOf(error)}`);
    }
    return wrong;
  }

  get #how(): { readonly pool?: string; readonly backend?: 'btrfs' | 'store' } {
    if (this.#op === 'move') return { pool: POOL };
    const { backend } = this.#place.bed;
    return this.#op === 'init-at' ? { backend, pool: this.#poolDirectory } : { backend };
  }

  /** Once more init, which ends or begins it; then a snapshot, and the way back to a plain directory. */
  async #judgeTree(isAcknowledged: boolean, wrong: string[]): Promise<void> {
    const { environment, path } = this;
    if (this.#op !== 'destroy' && isAcknowledged) {
      // What was acknowledged can be opened without being begun again.
      await using _workspace = await openWorkspace({ workspace: path, environment });
    }
    await initWorkspace({ path, ...this.#how, environment });
    await this.#place.assertSame('after init', wrong);
    await using workspace = await openWorkspace({ workspace: path, environment });
    await workspace.snapshot();
    await workspace.destroy();
    await this.#place.assertSame('after destroy', wrong);
    const beside = this.#place.beside();
    if (beside.length > 0) wrong.push(`left beside the workspace: ${beside.join(', ')}`);
  }

  async #judgePool(isAcknowledged: boolean, wrong: string[]): Promise<void> {
    const { environment } = this;
    const { folder } = this.#place;
    const known = (await listPools({ environment })).find(({ name }) => name === POOL);
    if (isAcknowledged && (known !== undefined) !== (this.#op !== 'pool-destroy')) {
      wrong.push(`acknowledged, and the pool is ${known === undefined ? 'not ' : ''}listed`);
    }
    if (this.#op === 'pool-mount') {
      if (isAcknowledged && known?.mounted !== true) wrong.push('acknowledged, and not mounted');
      const { mounted } = await mountPool({ name: POOL, environment });
      if (!mounted) wrong.push('mounted once more, and it is not');
    }
    if (known !== undefined) await destroyPool({ name: POOL, environment, force: 'yes' });
    await this.#place.createPool();
    await destroyPool({ name: POOL, environment });
    if (readFileSync('/proc/self/mountinfo', 'utf8').includes(folder)) {
      wrong.push('a mount is left');
    }
    const held = loopsOn(folder);
    if (held.length > 0) wrong.push(`a loop device is left: ${held.join(', ')}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#place[Symbol.asyncDispose]();
  }
}

export async function makeFresh(op: FreshOperation, ground: FreshGround): Promise<FreshTrial> {
  if (isOneOf(REGISTERED_OPERATIONS, op)) return await makeRegisteredTrial(op, ground);
  if (isOneOf(FILE_OPERATIONS, op)) return makeFileTrial(op, ground);
  const fresh = new Fresh(op, ground);
  await fresh.prepare();
  return fresh;
}
