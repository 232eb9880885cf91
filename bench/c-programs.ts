/**
 * The baselines in C: compiled once a run with gcc, started as processes, their own clocks read.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

export interface CPrograms {
  /** One pair a thread; wall time and every duration, in nanoseconds. */
  snapshotLoop(call: SnapshotLoop): { readonly wallNs: number; readonly samplesNs: number[] };
  /** Every duration of snapshots that are taken while those of an earlier loop are deleted. */
  deleteBeside(call: DeleteBeside): number[];
  swap(call: SwapCall): number;
  /** The bare steps of a rollback in place: all of it, then snapshot, send, files, flush. */
  rollbackFew(call: SwapCall & { readonly paths: readonly string[] }): number[];
  statWalk(root: string, count: number): number[];
  /** Runs a command: wall time and the largest resident set. Throws when the command fails. */
  measure(command: readonly string[], options?: MeasureOptions): Measured;
}

export interface SnapshotLoop {
  readonly count: number;
  /** A file below each workspace that is overwritten before each snapshot, or '-'. */
  readonly touch: string;
  readonly prefix: string;
  readonly pairs: readonly { readonly workspace: string; readonly parent: string }[];
}

export interface DeleteBeside {
  /** Deletions that are made durable together. */
  readonly lot: number;
  /** Of a `snapshotLoop` of one pair: so many snapshots, with this prefix. */
  readonly count: number;
  readonly prefix: string;
  readonly touch: string;
  readonly workspace: string;
  readonly parent: string;
}

export interface SwapCall {
  readonly target: string;
  readonly parent: string;
  readonly name: string;
  readonly workspace: string;
}

export interface MeasureOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

export interface Measured {
  readonly wallNs: number;
  readonly rssKib: number;
  readonly stdout: string;
}

const NAMES = [
  ...(['snapshot-loop', 'delete-beside', 'swap-loop', 'rollback-few', 'stat-walk'] as const),
  'run-measured',
] as const;
const OUTPUT_BYTES_MAX = 1 << 26;

export function compilePrograms(directory: string): CPrograms {
  mkdirSync(directory, { recursive: true });
  for (const name of NAMES) {
    const source = join(import.meta.dirname, 'c', `${name}.c`);
    execFileSync('gcc', ['-O2', '-pthread', '-o', join(directory, name), source]);
  }
  const run = (name: (typeof NAMES)[number], args: readonly string[]): number[] =>
    execFileSync(join(directory, name), args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: OUTPUT_BYTES_MAX,
    })
      .trim()
      .split('\n')
      .map(Number);
  return {
    snapshotLoop({ count, touch, prefix, pairs }) {
      const places = pairs.flatMap(({ workspace, parent }) => [workspace, parent]);
      const numbers = run('snapshot-loop', [String(count), touch, prefix, ...places]);
      return { wallNs: numbers[0] ?? 0, samplesNs: numbers.slice(1) };
    },
    deleteBeside: ({ lot, count, touch, prefix, workspace, parent }) =>
      run('delete-beside', [`${lot}`, `${count}`, touch, prefix, workspace, parent]).slice(1),
    swap: ({ target, parent, name, workspace }) =>
      run('swap-loop', [target, parent, name, workspace])[0] ?? 0,
    rollbackFew: ({ target, parent, name, workspace, paths }) =>
      run('rollback-few', [target, parent, name, workspace, ...paths]),
    statWalk: (root, count) => run('stat-walk', [String(count), root]),
    measure(command, options = {}) {
      const done = spawnSync(join(directory, 'run-measured'), command, {
        encoding: 'utf8',
        env: { ...process.env, ...options.env },
        cwd: options.cwd,
        maxBuffer: OUTPUT_BYTES_MAX,
      });
      if (done.status !== 0) {
        throw new Error(`${command.join(' ')} ended with ${done.status}:\n${done.stderr}`);
      }
      const [wallNs = 0, rssKib = 0] = (done.stderr.trim().split('\n').at(-1) ?? '')
        .split(' ')
        .map(Number);
      return { wallNs, rssKib, stdout: done.stdout };
    },
  };
}
