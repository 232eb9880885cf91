/**
 * One backend through the whole demo: a workspace, a baseline, and for each damage a snapshot, the
 * damage, what it changed, the rollback, and the comparison with a copy that was made before.
 */
import { join } from 'node:path';
import { changedPaths } from '../../core/change-stats.ts';
import { GhostsnapError } from '../../core/errors.ts';
import type { Workspace } from '../../engine/workspace-api.ts';
import { summaryLine } from '../change-lines.ts';
import type { CliContext } from '../cli-context.ts';
import type { Composition } from '../composition.ts';
import { countChanges } from '../count-changes.ts';
import { formatDuration } from '../human-units.ts';
import { progressBar } from '../progress-bar.ts';
import { type Damage, listDamages, pickVictims, wipe } from './demo-damages.ts';
import { addUncommittedWork, copyProject, type DemoPlace, hasOwnGit } from './demo-place.ts';
import { runShell, sealedEnvironment } from './demo-shell.ts';
import { compareIndependently } from './independent-compare.ts';

export interface DemoRunOptions {
  readonly context: CliContext;
  readonly composition: Composition;
  readonly place: DemoPlace;
  readonly source: string;
  readonly backend: 'btrfs' | 'store';
  /** The pool to keep snapshots in; null: the one that init chooses. */
  readonly pool: string | null;
  /**
   * Where the copy is made: 'beside', in the demo's own directory, from where a btrfs pool takes it in; or
   * a directory on the pool's filesystem, where it becomes a workspace in its place. There nothing is
   * mounted over it, so that a tree of which everything is gone comes back by one exchange.
   */
  readonly at: 'beside' | string;
  readonly signal: AbortSignal;
}

export interface DemoScore {
  readonly passed: number;
  readonly failed: number;
}

interface Trees {
  readonly workspace: string;
  readonly reference: string;
}

export async function runDemo(options: DemoRunOptions): Promise<DemoScore> {
  const { context, composition, place, signal, backend } = options;
  const trees = await prepareTrees(options);
  await initialize(options, trees.workspace);
  const { environment } = place;
  const workspace = await composition.openWorkspace({
    workspace: trees.workspace,
    environment,
    watch: 'on',
  });
  try {
    const baseline = await timed(() => workspace.snapshot({ label: 'baseline', signal }));
    context.output.line(`  baseline snapshot in ${formatDuration(baseline.durationMs)}`);
    const damages = damagesOf(options, trees.workspace);
    const isGit = hasOwnGit(trees.workspace);
    let passed = 0;
    let failed = 0;
    for (const damage of damages) {
      if (damage.needsGit && !isGit) {
        context.output.line(`  left out: ${damage.title} (the directory is not a git clone)`);
        continue;
      }
      const isGood = await sufferAndReturn(options, { workspace, trees, damage });
      if (isGood) passed += 1;
      else failed += 1;
    }
    await workspace.destroy();
    return await checkDestroyed(options, trees, { passed, failed });
  } catch (error) {
    context.output.note(`  the demo of the ${backend} backend stopped early`);
    throw error;
  } finally {
    await workspace.close();
  }
}

function damagesOf(options: DemoRunOptions, workspace: string): readonly Damage[] {
  if (options.at !== 'beside') return [wipe()];
  const isReadable = options.place.environment.uid === 0 || options.backend === 'store';
  return listDamages(victimsOf(workspace), isReadable ? '000' : '500');
}

async function prepareTrees(options: DemoRunOptions): Promise<Trees> {
  const { context, place, source, signal, backend, at } = options;
  const title = at === 'beside' ? backend : `${backend}-in-place`;
  const workspace = join(at === 'beside' ? place.base : at, `${title}-project`);
  const reference = join(place.base, `${title}-reference`);
  const copying = await timed(async () => {
    await copyProject({ from: source, to: workspace, place, signal });
    addUncommittedWork(workspace, victimsOf(workspace));
    await copyProject({ from: workspace, to: reference, place, signal });
  });
  const where = at === 'beside' ? '' : ', a plain directory of the btrfs';
  context.output.line(`\n${backend}: a copy of ${source}${where}`);
  context.output.line(`  copied twice in ${formatDuration(copying.durationMs)} (cp -a)`);
  return { workspace, reference };
}

async function initialize(options: DemoRunOptions, path: string): Promise<void> {
  const { context, composition, place, signal, backend, pool } = options;
  using bar = progressBar(context.output, 'Preparing');
  const { durationMs } = await timed(() =>
    composition.initWorkspace({
      path,
      backend,
      environment: place.environment,
      onProgress: bar.onProgress,
      signal,
      ...(pool === null ? {} : { pool }),
    }),
  );
  context.output.line(`  ghostsnap init in ${formatDuration(durationMs)}`);
}

/** One damage, from the snapshot to the comparison. True: the tree is the same again. */
async function sufferAndReturn(
  options: DemoRunOptions,
  step: { readonly workspace: Workspace; readonly trees: Trees; readonly damage: Damage },
): Promise<boolean> {
  const { context, place, signal } = options;
  const { workspace, trees, damage } = step;
  const { output } = context;
  const { green, red, bold, dim } = output.colors;
  const snapshot = await timed(() => workspace.snapshot({ tool: damage.title, signal }));
  const { id } = snapshot.value;
  await runShell({
    command: ['sh', '-c', damage.script, 'sh', ...damage.names],
    cwd: trees.workspace,
    env: sealedEnvironment(place.environment.env, trees.workspace),
    signal,
  });
  const stats = await countChanges(workspace.diff(id, 'live', { mtimes: false, signal }));
  const rollback = await timed(() => workspace.rollback(id, { signal }));
  const compared = await compareIndependently(
    { expected: trees.reference, actual: trees.workspace },
    place.environment,
    signal,
  );
  const isSame = compared.differences.length === 0 && changedPaths(stats) > 0;
  output.line(`  ${bold(`$ ${damage.title}`)}`);
  output.line(`      ${summaryLine(stats)}`);
  const { mode, notes } = rollback.value;
  const there = `snapshot ${formatDuration(snapshot.durationMs)}`;
  const back = `rollback ${formatDuration(rollback.durationMs)} ${dim(`(${mode})`)}`;
  const verdict = isSame ? green('same tree again') : red('NOT the same tree');
  output.line(`      ${there}, ${back}, ${verdict}`);
  if (changedPaths(stats) === 0) output.line('      the command changed nothing');
  for (const line of compared.differences.slice(0, 10)) output.line(`      ${line}`);
  for (const { path, what } of notes.slice(0, 10)) output.line(`      ${path}: ${what}`);
  return isSame;
}

/** After `destroy` a plain directory with the same contents must remain. */
async function checkDestroyed(
  options: DemoRunOptions,
  trees: Trees,
  score: DemoScore,
): Promise<DemoScore> {
  const { context, place, signal } = options;
  const { green, red, bold } = context.output.colors;
  const { differences } = await compareIndependently(
    { expected: trees.reference, actual: trees.workspace },
    place.environment,
    signal,
  );
  const isSame = differences.length === 0;
  context.output.line(`  ${bold('$ ghostsnap destroy')}`);
  const verdict = isSame ? green('a plain directory, same tree') : red('NOT the same tree');
  context.output.line(`      ${verdict}`);
  for (const line of differences.slice(0, 10)) context.output.line(`      ${line}`);
  return isSame ? { ...score, passed: score.passed + 1 } : { ...score, failed: score.failed + 1 };
}

function victimsOf(root: string): NonNullable<ReturnType<typeof pickVictims>> {
  const victims = pickVictims(root);
  if (victims !== null) return victims;
  throw new GhostsnapError('BAD_ARGUMENT', 'The project has no file or no directory at its top.', {
    hint: 'Name a real project: ghostsnap demo DIR.',
  });
}

async function timed<T>(
  work: () => Promise<T>,
): Promise<{ readonly value: T; readonly durationMs: number }> {
  const startedMs = performance.now();
  const value = await work();
  return { value, durationMs: performance.now() - startedMs };
}
