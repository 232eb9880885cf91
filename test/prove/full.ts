/**
 * No room left: `npm run prove -- full`.
 *
 * The disk is filled to the last block (or inode) at every labelled step of every
 * operation that has steps, and before those that have none. What then fails must say POOL_FULL and what to
 * do, and leave the tree as it was or as it was wanted; reading works, deleting works, going back works as
 * soon as it has room for what it must write; and once the filler is gone everything goes on, with every
 * snapshot as it was. One op is one step at which the disk is filled.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { Environment } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { type LoopImageOptions, makeLoopImage } from '../platform/loop-image.ts';
import type { Prover } from './prover.ts';
import { type Place, Witness } from './witness.ts';

interface FullGround {
  readonly name: string;
  readonly backend: 'btrfs' | 'store';
  readonly image: LoopImageOptions;
  /** A quota on the workspace's subvolume, or on the one that holds ghostsnap's own files. */
  readonly runsOut: 'blocks' | 'inodes' | 'quota' | 'home-quota';
}

const FEW_INODES = ['-q', '-F', '-N', '1200'];

const GROUNDS: readonly FullGround[] = [
  {
    ...{ name: 'btrfs-home-quota', backend: 'btrfs', runsOut: 'home-quota' },
    image: { fs: 'btrfs', sizeMiB: 160 },
  },
  { name: 'btrfs-quota', backend: 'btrfs', image: { fs: 'btrfs', sizeMiB: 160 }, runsOut: 'quota' },
  { name: 'btrfs', backend: 'btrfs', image: { fs: 'btrfs', sizeMiB: 160 }, runsOut: 'blocks' },
  { name: 'store-ext4', backend: 'store', image: { fs: 'ext4', sizeMiB: 64 }, runsOut: 'blocks' },
  { name: 'store-xfs', backend: 'store', image: { fs: 'xfs', sizeMiB: 320 }, runsOut: 'blocks' },
  {
    ...{ name: 'store-inodes', backend: 'store', runsOut: 'inodes' },
    image: { fs: 'ext4', sizeMiB: 64, mkfsArguments: FEW_INODES },
  },
];

/** What a full disk may be called. The last: the turn was not ended, both its states are whole. */
const CODES = new Set(['POOL_FULL', 'RESTORE_FAILED']);
/** Every so many-th step, from the seed on. */
const STRIDE = { bounded: 6, long: 1 } as const;
const FILES = 30;
/** More than the files of a home ever take here. */
const ROOMY = '64M';

export const full: Prover = {
  name: 'full',
  about: 'fills the disk or its inodes at every step of every operation',
  async run(options) {
    const effort = options.effort({
      bounded: { ops: 1000, minutes: 3 },
      long: { ops: 1000, minutes: 30 },
    });
    const stride = STRIDE[options.extent];
    const failures: string[] = [];
    const counts: Record<string, number> = { steps: 0, refused: 0 };
    for (const ground of GROUNDS) {
      if (effort.isSpent) break;
      await using image = await makeLoopImage(ground.image);
      await using witness = new Witness();
      const stage = new FullStage(ground, image.mountPath, witness);
      await stage.prepare();
      for (const what of OPERATIONS) {
        for (let step = options.seed % stride; !effort.isSpent; step += stride) {
          const reached = await stage.attempt(what, step);
          effort.done += 1;
          if (reached === 'past the end') break;
        }
      }
      failures.push(...stage.failures.map((line) => `${ground.name}: ${line}`));
      counts.refused = (counts.refused ?? 0) + stage.refused;
      counts['turns stuck'] = (counts['turns stuck'] ?? 0) + stage.stuck;
      counts['ended by deleting'] = (counts['ended by deleting'] ?? 0) + stage.endedByDeleting;
    }
    return { counts: { ...counts, steps: effort.done }, failures };
  },
};

const OPERATIONS = ['snapshot', 'in-place', 'swap', 'undo', 'prune'] as const;
type OperationName = (typeof OPERATIONS)[number];

interface State {
  readonly id: string;
  readonly hash: string;
}

class FullStage {
  readonly failures: string[] = [];
  refused = 0;
  /** Turns that ended RESTORE_FAILED, and those that deleting alone made room for. */
  stuck = 0;
  endedByDeleting = 0;
  readonly #ground: FullGround;
  readonly #base: string;
  readonly #path: string;
  readonly #witness: Witness;
  readonly #states: State[] = [];
  #spare: string[] = [];
  #edits = 0;

  constructor(ground: FullGround, base: string, witness: Witness) {
    this.#ground = ground;
    this.#base = base;
    this.#path = join(base, 'work');
    this.#witness = witness;
  }

  async prepare(): Promise<void> {
    mkdirSync(this.#path);
    const { backend } = this.#ground;
    if (this.#hasQuota) btrfs('quota', 'enable', this.#base);
    if (this.#ground.runsOut === 'home-quota') {
      btrfs('subvolume', 'create', this.#home);
      this.#limit(ROOMY);
    }
    await initWorkspace({ path: this.#path, environment: this.#environment(), backend });
    await using workspace = await this.#open();
    for (let state = 0; state < 2; state += 1) {
      this.#edit();
      const { id } = await workspace.snapshot();
      await workspace.pin(id);
      this.#states.push({ id, hash: await this.#hash({ dir: this.#path }) });
    }
  }

  /** Fills the disk when the operation comes to its N-th step; an operation has its first before it. */
  async attempt(what: OperationName, step: number): Promise<'filled' | 'past the end'> {
    await this.#makeRoom();
    let workspace = await this.#open();
    let seen = 0;
    const onStep = (): void => {
      if (seen === step) this.#fill();
      seen += 1;
    };
    const target = this.#states[step % 2] as State;
    try {
      if (what === 'undo') await workspace.rollback(this.#other(target).id);
      this.#edit();
      const before = await this.#hash({ dir: this.#path });
      onStep();
      const code = await this.#carryOut(workspace, what, target.id, onStep);
      if (seen <= step) return 'past the end';
      const line = `${what}, filled at step ${step}`;
      await this.#judge(workspace, { line, code, before, after: target.hash });
      // Another process finds the same.
      await workspace.close();
      this.#free();
      workspace = await this.#open();
      await this.#goOn(workspace, line);
    } finally {
      await workspace.close();
      this.#free();
    }
    return 'filled';
  }

  async #carryOut(
    workspace: Workspace,
    what: OperationName,
    target: string,
    onStep: () => void,
  ): Promise<string | null> {
    try {
      if (what === 'snapshot') this.#spare.push((await workspace.snapshot()).id);
      else if (what === 'undo') await workspace.undo({ onStep });
      else if (what === 'prune') {
        await workspace.prune({ specs: this.#spare.splice(0, 2), onStep });
      } else if (what === 'in-place' || this.#ground.backend === 'btrfs') {
        await workspace.rollback(target, { mode: what, onStep });
      }
      return null;
    } catch (error) {
      this.refused += 1;
      if (!(error instanceof GhostsnapError)) {
        this.failures.push(`${what} throws ${error instanceof Error ? error.stack : error}`);
        return 'none';
      }
      if (!CODES.has(error.code) || error.hint === undefined) {
        this.failures.push(`${what} fails with ${error.code}: ${error.message}`);
      }
      return error.code;
    }
  }

  async #judge(
    workspace: Workspace,
    tried: { line: string; code: string | null; before: string; after: string },
  ): Promise<void> {
    const { line, code, before } = tried;
    if (code !== 'RESTORE_FAILED') {
      const live = await this.#hash({ dir: this.#path });
      const isTurned = !line.startsWith('snapshot') && !line.startsWith('prune') && code === null;
      if (!isTurned && live !== before)
        this.failures.push(`${line}: it failed and the tree changed`);
    }
    await this.#checkSnapshots(workspace, line);
    await this.#deleteSome(workspace, line);
    if (code === 'RESTORE_FAILED') await this.#endTurn(workspace, line, before);
  }

  /** Deleting works on the full disk, also beside a turn that found no room to end. */
  async #deleteSome(workspace: Workspace, line: string): Promise<void> {
    const needed = new Set<string>();
    const [last] = workspace.operations(1);
    if (last?.outcome === 'in-flight') needed.add(last.target).add(last.precautionary);
    for (const { id, pinned } of workspace.list()) {
      if (pinned || needed.has(id)) continue;
      try {
        await workspace.prune({ specs: [id] });
      } catch (error) {
        // Nothing can be recorded under the quota, not even that something is to go.
        const isRefused = error instanceof GhostsnapError && CODES.has(error.code);
        if (isRefused && this.#ground.runsOut === 'home-quota') return;
        this.failures.push(`${line}: deleting on the full disk: ${String(error)}`);
        return;
      }
      this.#spare = this.#spare.filter((other) => other !== id);
      // Beside a turn all of it goes, as somebody does who needs the room.
      if (needed.size === 0) return;
    }
  }

  /**
   * With a little room that is not the deletions' own: the turn goes where it was to go. An exchange that had
   * not happened is given up, and the tree is the one before.
   */
  async #endTurn(workspace: Workspace, line: string, before: string): Promise<void> {
    this.stuck += 1;
    const target = workspace.operations(1)[0]?.target ?? '';
    const wanted = await this.#hash(this.#placeOf(workspace, target));
    const recover = async (): Promise<boolean> => {
      try {
        await workspace.recover();
        return true;
      } catch (error) {
        if (error instanceof GhostsnapError && CODES.has(error.code)) return false;
        throw error;
      }
    };
    if (await recover()) this.endedByDeleting += 1;
    else {
      this.#free();
      await workspace.recover();
    }
    const live = await this.#hash({ dir: this.#path });
    const ended = workspace.operations(1)[0]?.outcome;
    const isGivenUp = line.startsWith('swap') && ended === 'abandoned';
    if (live !== (isGivenUp ? before : wanted)) {
      this.failures.push(`${line}: the turn was not finished (${ended})`);
    }
  }

  async #goOn(workspace: Workspace, line: string): Promise<void> {
    await workspace.recover();
    await this.#checkSnapshots(workspace, `${line}, with room again`);
    const [first] = this.#states;
    if (first === undefined) return;
    await workspace.rollback(first.id, { mode: 'in-place' });
    const live = await this.#hash({ dir: this.#path });
    if (live !== first.hash) this.failures.push(`${line}: going back with room again`);
    this.#spare.push((await workspace.snapshot()).id);
  }

  /** Reading, also on the full disk: the states are listed, whole, and can be compared. */
  async #checkSnapshots(workspace: Workspace, line: string): Promise<void> {
    const listed = new Set(workspace.list().map(({ id }) => id as string));
    for (const { id, hash } of this.#states) {
      if (!listed.has(id)) this.failures.push(`${line}: ${id} is lost`);
      if ((await this.#hash(this.#placeOf(workspace, id))) !== hash)
        this.failures.push(`${line}: ${id} is another tree`);
      for await (const _change of workspace.diff(id));
    }
  }

  #placeOf(workspace: Workspace, id: string): Place {
    const { poolRoot, workspace: ws } = workspace.info;
    return this.#ground.backend === 'store'
      ? { store: poolRoot, workspace: ws, snapshot: id }
      : { dir: join(poolRoot, '.ghostsnap', ws, id) };
  }

  #other(state: State): State {
    return this.#states.find(({ id }) => id !== state.id) ?? state;
  }

  async #makeRoom(): Promise<void> {
    this.#free();
    await using workspace = await this.#open();
    const doomed = workspace.list().filter(({ pinned }) => !pinned);
    this.#spare = doomed.slice(0, 3).map(({ id }) => id);
    const specs = doomed.slice(3).map(({ id }) => id);
    if (specs.length > 0) await workspace.prune({ specs });
  }

  #open(): Promise<Workspace> {
    return openWorkspace({ workspace: this.#path, environment: this.#environment() });
  }

  get #hasQuota(): boolean {
    return this.#ground.runsOut === 'quota' || this.#ground.runsOut === 'home-quota';
  }

  get #home(): string {
    return join(this.#base, 'ghostsnap');
  }

  #environment(): Environment {
    const env = { GHOSTSNAP_HOME: this.#home, PATH: process.env.PATH };
    return { env, cwd: '/', homeDir: this.#base, uid: 0 };
  }

  #edit(): void {
    this.#edits += 1;
    for (let file = 0; file < FILES; file += 3) {
      const name = join(this.#path, `f${(file + this.#edits) % FILES}`);
      writeFileSync(name, `${this.#edits} ${file} `.repeat(1 + file * 60));
    }
    rmSync(join(this.#path, `f${this.#edits % FILES}`), { force: true });
  }

  #fill(): void {
    // Below what is used already: whatever would take a new block there is refused.
    if (this.#hasQuota) {
      this.#limit('4096');
      return;
    }
    const filler = join(this.#base, 'filler');
    mkdirSync(filler, { recursive: true });
    if (this.#ground.runsOut === 'inodes') fillInodes(filler);
    else fillBlocks(join(filler, 'blocks'));
  }

  /** Through the top level: the limited subvolume itself has no room for being told of another limit. */
  #limit(size: string): void {
    const limited = this.#ground.runsOut === 'quota' ? this.#path : this.#home;
    const id = execFileSync('btrfs', ['inspect-internal', 'rootid', limited], {
      encoding: 'utf8',
    });
    btrfs('qgroup', 'limit', size, `0/${id.trim()}`, this.#base);
  }

  #free(): void {
    if (this.#hasQuota) this.#limit(this.#ground.runsOut === 'quota' ? 'none' : ROOMY);
    if (!existsSync(join(this.#base, 'filler'))) return;
    rmSync(join(this.#base, 'filler'), { recursive: true });
    execFileSync('sync', ['-f', this.#base]);
  }

  async #hash(place: Place): Promise<string> {
    return (await this.#witness.hashes({ it: place })).it ?? '';
  }
}

/** To the last block: large pieces first, and synced, as blocks are promised before they are given. */
function fillBlocks(file: string): void {
  const fd = openSync(file, 'w');
  try {
    for (let bytes = 1 << 20; bytes >= 512; bytes >>= 1) {
      while (fits(() => writeSync(fd, Buffer.alloc(bytes, 1))));
    }
  } finally {
    closeSync(fd);
  }
  execFileSync('sync', ['-f', join(file, '..')]);
}

function btrfs(...args: readonly string[]): void {
  execFileSync('btrfs', ['-q', ...args], { stdio: 'pipe' });
}

function fillInodes(directory: string): void {
  for (let i = 0; fits(() => writeFileSync(join(directory, `${i}`), '')); i += 1);
}

function fits(write: () => void): boolean {
  try {
    write();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
