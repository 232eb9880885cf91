/**
 * Running a command on each state of a bisect until the search is over.
 *
 * Nothing but the bisect itself is held while the command runs, so that it may use ghostsnap. Each trial
 * has a tree as the state was, whatever the one before did. A mark is on disk before the next tree is made:
 * a run that was stopped anywhere is gone on with by another.
 */
import { type BisectVerdict, verdictOfStatus } from '../core/bisect.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import {
  type BisectRecord,
  type BisectStore,
  markBisect,
  prepareTrial,
  requireBisect,
} from '../engine/bisect.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import { printStanding } from './bisect-output.ts';
import { type CliContext, type WorkspaceOptions, withWorkspace } from './cli-context.ts';
import { runChild } from './run-child.ts';

export interface OpenedBisect {
  readonly workspace: Workspace;
  readonly store: BisectStore;
  readonly signal: AbortSignal;
}

/** Alone with the workspace's bisect. @throws GhostsnapError LOCKED */
export async function withBisect(
  context: CliContext,
  options: WorkspaceOptions,
  work: (on: OpenedBisect) => Promise<void>,
): Promise<void> {
  await withWorkspace(context, options, async (workspace, signal) => {
    const { openBisect } = await context.composition();
    const { environment } = context;
    using store = await openBisect({ environment, workspace: workspace.info.workspace });
    await work({ workspace, store, signal });
  });
}

/** @throws GhostsnapError INTERRUPTED when the command wants to stop; BAD_ARGUMENT when it cannot run */
export async function runTrials(
  context: CliContext,
  words: readonly string[],
  options: WorkspaceOptions,
): Promise<void> {
  const { openBisect } = await context.composition();
  const { environment } = context;
  const workspace = await withWorkspace(context, { ...options, readOnly: 'yes' }, async (one) => {
    return one.info.workspace;
  });
  using store = await openBisect({ environment, workspace });
  requireBisect(store.read());
  const run = new TrialRun(context, store, { words, options });
  while (await run.next()) {}
}

interface Trials {
  readonly words: readonly string[];
  readonly options: WorkspaceOptions;
}

/** Of a command that was not found, or that may not be executed; a shell's own statuses for that. */
const STATUS_CANNOT_RUN: ReadonlySet<number> = new Set([126, 127]);

class TrialRun {
  readonly #context: CliContext;
  readonly #store: BisectStore;
  readonly #trials: Trials;
  /** The command was seen to run, or to fail otherwise, on a state that is good. */
  #isKnownToRun = false;

  constructor(context: CliContext, store: BisectStore, trials: Trials) {
    this.#context = context;
    this.#store = store;
    this.#trials = trials;
  }

  /** One trial. False: the search is over, and the answer was printed. */
  async next(): Promise<boolean> {
    const { output } = this.#context;
    const { options } = this.#trials;
    const record = await this.#prepare(undefined, async (workspace, trial) => {
      if (trial.plan.next === null)
        await printStanding(this.#context, workspace, { ...trial, options });
      else {
        const { next, trialsLeft } = trial.plan;
        output.note(`Trying ${next}: ${trialsLeft} ${trialsLeft === 1 ? 'trial' : 'trials'} left`);
      }
    });
    if (record.current === null) return false;
    const status = await this.#run(record);
    const verdict = await this.#verdictOf(status, record);
    await this.#mark(record, verdict);
    output.note(`  ${verdict}: the command ended with ${status}`);
    return true;
  }

  async #prepare(
    state: SnapshotId | undefined,
    tell: (
      workspace: Workspace,
      trial: Awaited<ReturnType<typeof prepareTrial>>,
    ) => Promise<void> = async () => {},
  ): Promise<BisectRecord> {
    return await withWorkspace(this.#context, this.#trials.options, async (workspace, signal) => {
      const on = { workspace, store: this.#store, signal };
      const trial = await prepareTrial(state === undefined ? on : { ...on, state });
      await tell(workspace, trial);
      return trial.record;
    });
  }

  async #run({ path, current }: BisectRecord): Promise<number> {
    const { env, cwd } = this.#context.environment;
    const at = path ?? cwd;
    return await runChild({
      command: this.#trials.words,
      env: { ...env, PWD: at, GHOSTSNAP_BISECT: current ?? undefined },
      cwd: at,
      output: 'error',
    });
  }

  /** A command that cannot be run would find every state bad: it is tried on a good one first. */
  async #verdictOf(status: number, record: BisectRecord): Promise<BisectVerdict> {
    const verdict = verdictOfStatus(status);
    if (verdict === null) throw stopped(status);
    if (!STATUS_CANNOT_RUN.has(status) || this.#isKnownToRun) return verdict;
    const onGood = await this.#run(await this.#prepare(record.good));
    if (STATUS_CANNOT_RUN.has(onGood)) throw cannotRun(this.#trials.words, onGood);
    this.#isKnownToRun = true;
    return verdict;
  }

  /** The tree that stands ready may be another one by now. */
  async #mark(record: BisectRecord, verdict: BisectVerdict): Promise<void> {
    this.#store.write(record);
    markBisect(this.#store, verdict);
  }
}

function stopped(status: number): GhostsnapError {
  return new GhostsnapError('INTERRUPTED', `The command ended with ${status}: the search stops.`, {
    hint: 'Go on with "ghostsnap bisect run", or end it with "ghostsnap bisect reset".',
    data: { status },
  });
}

function cannotRun(words: readonly string[], status: number): GhostsnapError {
  return new GhostsnapError(
    'BAD_ARGUMENT',
    `${words[0]} ends with ${status} on a good state as well: it cannot be run there.`,
    {
      hint: 'Name a program by its full path, and run what only the states hold by "sh -c".',
      data: { status },
    },
  );
}
