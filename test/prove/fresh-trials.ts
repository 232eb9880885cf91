/**
 * Tries that need something fresh each time: init, destroy, a move into a pool, making and removing a
 * pool. What must hold: the directory holds one whole tree, the same, at every instant; the same call, or
 * its opposite, ends what was begun; nothing is left of a pool that is gone.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  createPool,
  destroyPool,
  type Environment,
  GhostsnapError,
  initWorkspace,
  listPools,
  openWorkspace,
} from '../../src/index.ts';
import type { Bed } from './model-episode.ts';
import { sha256Of } from './model-hashes.ts';
import type { OperationCall } from './operation-child.ts';
import type { Witness } from './witness.ts';

export const FRESH_OPERATIONS = ['init', 'destroy', 'move', 'pool-create', 'pool-destroy'] as const;
export type FreshOperation = (typeof FRESH_OPERATIONS)[number];

/** Needs root: a mount. And only btrfs takes trees in. */
export function isPossible(op: FreshOperation, bed: Bed): boolean {
  if (op === 'init' || op === 'destroy') return true;
  return bed.backend === 'btrfs' && process.getuid?.() === 0;
}

export interface FreshTrial extends AsyncDisposable {
  readonly environment: Environment;
  readonly path: string;
  readonly call: OperationCall;
  /** What is wrong after the operation died, failed or succeeded. */
  judge(isAcknowledged: boolean): Promise<string[]>;
}

const POOL = 'tried';
const POOL_BYTES = 128 * 2 ** 20;

class Fresh implements FreshTrial {
  readonly environment: Environment;
  readonly path: string;
  readonly folder: string;
  readonly call: OperationCall;
  readonly #op: FreshOperation;
  readonly #bed: Bed;
  readonly #witness: Witness;
  #before = '';

  constructor(op: FreshOperation, bed: Bed, witness: Witness, template: string) {
    this.#op = op;
    this.#bed = bed;
    this.#witness = witness;
    this.folder = mkdtempSync(join(bed.base, 'fresh-'));
    mkdirSync(join(this.folder, 'home'));
    this.path = join(this.folder, 'work');
    execFileSync('cp', ['-a', template, this.path]);
    this.environment = {
      env: { GHOSTSNAP_HOME: join(this.folder, 'home'), PATH: process.env.PATH },
      cwd: this.folder,
      homeDir: this.folder,
      uid: process.getuid?.() ?? 0,
    };
    this.call = this.#callOf();
  }

  #callOf(): OperationCall {
    switch (this.#op) {
      case 'init':
        return { op: 'init', backend: this.#bed.backend };
      case 'destroy':
        return { op: 'destroy' };
      case 'move':
        return { op: 'move', pool: POOL };
      case 'pool-create':
        return { op: 'pool-create', pool: POOL, directory: join(this.folder, 'pool') };
      case 'pool-destroy':
        return { op: 'pool-destroy', pool: POOL };
    }
  }

  async prepare(): Promise<void> {
    const { environment } = this;
    if (this.#op === 'move' || this.#op === 'pool-destroy') await this.#createPool();
    if (this.#op === 'destroy') {
      await initWorkspace({ path: this.path, backend: this.#bed.backend, environment });
      await using workspace = await openWorkspace({ workspace: this.path, environment });
      await workspace.snapshot();
    }
    this.#before = await this.#digest();
  }

  async judge(isAcknowledged: boolean): Promise<string[]> {
    const wrong: string[] = [];
    await this.#assertSame('right after', wrong);
    try {
      if (this.#op.startsWith('pool-')) await this.#judgePool(isAcknowledged, wrong);
      else await this.#judgeTree(isAcknowledged, wrong);
    } catch (error) {
      const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
      wrong.push(`can't be brought to an end: ${cause}`);
    }
    return wrong;
  }

  /** Once more init, which ends or begins it; then a snapshot, and the way back to a plain directory. */
  async #judgeTree(isAcknowledged: boolean, wrong: string[]): Promise<void> {
    const { environment, path } = this;
    if (this.#op !== 'destroy' && isAcknowledged) {
      // What was acknowledged can be opened without being begun again.
      await using _workspace = await openWorkspace({ workspace: path, environment });
    }
    const how = this.#op === 'move' ? { pool: POOL } : { backend: this.#bed.backend };
    await initWorkspace({ path, ...how, environment });
    await this.#assertSame('after init', wrong);
    await using workspace = await openWorkspace({ workspace: path, environment });
    await workspace.snapshot();
    await workspace.destroy();
    await this.#assertSame('after destroy', wrong);
    const beside = readdirSync(this.folder).filter((name) => !EXPECTED.has(name));
    if (beside.length > 0) wrong.push(`left beside the workspace: ${beside.join(', ')}`);
  }

  async #judgePool(isAcknowledged: boolean, wrong: string[]): Promise<void> {
    const { environment } = this;
    const isListed = (await listPools({ environment })).some(({ name }) => name === POOL);
    if (isAcknowledged && isListed !== (this.#op === 'pool-create')) {
      wrong.push(`acknowledged, and the pool is ${isListed ? '' : 'not '}listed`);
    }
    if (isListed) await destroyPool({ name: POOL, environment, force: 'yes' });
    await this.#createPool();
    await destroyPool({ name: POOL, environment });
    if (readFileSync('/proc/self/mountinfo', 'utf8').includes(this.folder)) {
      wrong.push('a mount is left');
    }
    const held = loopsOn(this.folder);
    if (held.length > 0) wrong.push(`a loop device is left: ${held.join(', ')}`);
  }

  async #createPool(): Promise<void> {
    const { environment } = this;
    await createPool({
      ...{ name: POOL, directory: join(this.folder, 'pool'), environment },
      sizeBytes: POOL_BYTES,
    });
  }

  async #digest(): Promise<string> {
    return sha256Of(await this.#witness.lines({ dir: this.path }));
  }

  async #assertSame(when: string, wrong: string[]): Promise<void> {
    if (!existsSync(this.path)) wrong.push(`nothing is at the path, ${when}`);
    else if ((await this.#digest()) !== this.#before)
      wrong.push(`the tree is another one, ${when}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { environment } = this;
    try {
      await using workspace = await openWorkspace({ workspace: this.path, environment });
      await workspace.destroy();
    } catch (error) {
      // Mostly there is none any more; one that can't be opened was reported.
      if (!(error instanceof GhostsnapError)) throw error;
    }
    for (const { name } of await listPools({ environment })) {
      if (name === POOL) await destroyPool({ name, environment, force: 'yes' });
    }
    takeDown(this.folder);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const EXPECTED: ReadonlySet<string> = new Set(['home', 'work', 'pool']);

function loopsOn(folder: string): string[] {
  const text = execFileSync('losetup', ['--noheadings', '--output', 'NAME,BACK-FILE'], {
    encoding: 'utf8',
  });
  return text.split('\n').filter((line) => line.includes(folder));
}

/** What a try that went wrong left mounted: reported already, and in the way of the next one. */
function takeDown(folder: string): void {
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((place) => place.startsWith(`${folder}/`));
  for (const place of mounted.reverse()) execFileSync('umount', ['--lazy', place]);
  for (const loop of loopsOn(folder))
    execFileSync('losetup', ['--detach', loop.split(' ')[0] ?? '']);
}

/** @param template a plain directory that is copied */
export async function makeFresh(
  op: FreshOperation,
  place: { readonly bed: Bed; readonly witness: Witness; readonly template: string },
): Promise<FreshTrial> {
  const fresh = new Fresh(op, place.bed, place.witness, place.template);
  await fresh.prepare();
  return fresh;
}
