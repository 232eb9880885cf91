/**
 * A directory of its own for one try that needs something fresh, with what a person sees of it: the tree at
 * the path, and what is left lying about.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  createPool,
  destroyPool,
  type Environment,
  GhostsnapError,
  listPools,
  openWorkspace,
} from '../../src/index.ts';
import type { Bed } from './model-episode.ts';
import { sha256Of } from './model-hashes.ts';
import type { OperationCall } from './operations.ts';
import type { Witness } from './witness.ts';
import { environmentAt } from './workspace-place.ts';

export interface FreshTrial extends AsyncDisposable {
  readonly environment: Environment;
  readonly path: string;
  readonly call: OperationCall;
  /** What is wrong after the operation died, failed or succeeded. */
  judge(isAcknowledged: boolean): Promise<string[]>;
}

export interface FreshGround {
  readonly bed: Bed;
  readonly witness: Witness;
  /** A plain directory that is copied. */
  readonly template: string;
}

export const POOL = 'tried';
const POOL_BYTES = 128 * 2 ** 20;
const EXPECTED: ReadonlySet<string> = new Set(['home', 'work', 'pool']);

export class FreshPlace implements AsyncDisposable {
  readonly environment: Environment;
  readonly bed: Bed;
  readonly folder: string;
  readonly home: string;
  path: string;
  readonly #witness: Witness;
  #before = '';

  constructor({ bed, witness, template }: FreshGround) {
    this.bed = bed;
    this.#witness = witness;
    this.folder = mkdtempSync(join(bed.base, 'fresh-'));
    this.home = join(this.folder, 'home');
    mkdirSync(this.home);
    this.path = join(this.folder, 'work');
    execFileSync('cp', ['-a', template, this.path]);
    this.environment = environmentAt(this.folder, this.home);
  }

  /** What the tree is from here on. */
  async remember(): Promise<void> {
    this.#before = await this.#digest();
  }

  /** The same tree, as a subvolume that somebody made. */
  makeSubvolume(): void {
    const plain = `${this.path}.plain`;
    renameSync(this.path, plain);
    execFileSync('btrfs', ['-q', 'subvolume', 'create', this.path], { stdio: 'pipe' });
    execFileSync('cp', ['-a', `${plain}/.`, this.path]);
    rmSync(plain, { recursive: true });
  }

  async createPool(): Promise<void> {
    const { environment } = this;
    await createPool({
      ...{ name: POOL, directory: join(this.folder, 'pool'), environment },
      sizeBytes: POOL_BYTES,
    });
  }

  async assertSame(when: string, wrong: string[]): Promise<void> {
    if (!existsSync(this.path)) wrong.push(`nothing is at the path, ${when}`);
    else if ((await this.#digest()) !== this.#before)
      wrong.push(`the tree is another one, ${when}`);
  }

  /** Names in the folder that nobody knows. */
  beside(): string[] {
    return readdirSync(this.folder).filter((name) => !EXPECTED.has(name));
  }

  async #digest(): Promise<string> {
    return sha256Of(await this.#witness.lines({ dir: this.path }));
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

export function loopsOn(folder: string): string[] {
  const text = execFileSync('losetup', ['--noheadings', '--output', 'NAME,BACK-FILE'], {
    encoding: 'utf8',
  });
  return text.split('\n').filter((line) => line.includes(folder));
}

/** What a try left mounted, or what a reboot would take away. */
export function takeDown(folder: string): void {
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((place) => place.startsWith(`${folder}/`));
  for (const place of mounted.reverse()) execFileSync('umount', ['--lazy', place]);
  for (const loop of loopsOn(folder))
    execFileSync('losetup', ['--detach', loop.split(' ')[0] ?? '']);
}

/** As text, for a report. */
export function causeOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
