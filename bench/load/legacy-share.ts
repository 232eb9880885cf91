/**
 * The same calls the legacy way: a shadow git, `git add -A` and `git write-tree` before each call that may
 * change something. How many a second this machine carries, as a share of what the load asks for.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeShadowGit } from '../shadow-git.ts';
import { LatencyHistogram, type LatencySummary } from './latency-histogram.ts';

const run = promisify(execFile);

export interface LegacyShare {
  readonly capturesPerSecond: number;
  readonly latency: LatencySummary;
  /** Of the snapshots a second that the load asks for; 1: it carries all of it. */
  readonly share: number;
}

/** For each worker: enough that one is captured again only after others were. */
const WORKSPACES = 10;

export async function measureLegacyShare(options: {
  readonly directory: string;
  readonly seconds: number;
  readonly snapshotsPerSecond: number;
  readonly fill: (directory: string) => void;
}): Promise<LegacyShare> {
  const { directory, seconds, snapshotsPerSecond, fill } = options;
  const places = Array.from({ length: WORKSPACES * availableParallelism() }, (_, index) => {
    const workTree = join(directory, `legacy-${index}`);
    const gitDirectory = `${workTree}.git`;
    mkdirSync(workTree, { recursive: true });
    fill(workTree);
    makeShadowGit(gitDirectory, workTree).capture();
    return { workTree, gitDirectory };
  });
  const latency = new LatencyHistogram();
  const startedMs = performance.now();
  const workers = availableParallelism();
  // Each has workspaces of its own: two at once in one would be a damaged git.
  const work = async (worker: number): Promise<void> => {
    for (let turn = worker; performance.now() - startedMs < seconds * 1000; turn += workers) {
      const { workTree, gitDirectory } = places[turn % places.length] ?? {
        workTree: '',
        gitDirectory: '',
      };
      writeFileSync(join(workTree, 'progress.txt'), `${turn}\n`);
      const beganMs = performance.now();
      const git = [`--git-dir=${gitDirectory}`, `--work-tree=${workTree}`];
      await run('git', [...git, 'add', '-A', '.'], { cwd: workTree });
      await run('git', [...git, 'write-tree'], { cwd: workTree });
      latency.record(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)));
  const capturesPerSecond = latency.count / ((performance.now() - startedMs) / 1000);
  const share = Math.min(1, capturesPerSecond / snapshotsPerSecond);
  return { capturesPerSecond, latency: latency.summary(), share };
}
