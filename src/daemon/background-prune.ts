/**
 * Retention in the background, after the snapshot is acknowledged: a tool call never waits for it.
 *
 * A process that lives on prunes by itself, one workspace at a time and when nothing has asked for a
 * while: a process for each of many workspaces would take the machine from the snapshots. Who closes a
 * workspace before its turn has come, as a short command does, hands it to a process of its own, which is
 * detached, says nothing and waits for no lock longer than usual. A process hands over once: one that
 * closes many workspaces is a service that ends, and retention asks again after some more snapshots. A
 * failure is seen by the next `prune` of a person: nothing is lost by pruning later.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { Environment } from './home.ts';
import { PROGRAM } from './own-files.ts';
import { atPublicEdge } from './public-edge.ts';

/** Longer than a command lives after its snapshot, shorter than anybody waits for space. */
const DELAY_MS = 1000;

const waiting = new Set<Workspace>();
let active: { readonly workspace: Workspace; readonly abort: AbortController } | null = null;
let timer: NodeJS.Timeout | null = null;

/** Retention of this workspace should run; returns at once. */
export function pruneSoon(workspace: Workspace): void {
  waiting.add(workspace);
  arrange();
}

/** The workspace is about to be closed. True: its retention has not run, or was cut off by this. */
export function takeBackPrune(workspace: Workspace): boolean {
  if (active?.workspace !== workspace) return waiting.delete(workspace);
  active.abort.abort();
  waiting.delete(workspace);
  return true;
}

function arrange(): void {
  if (timer !== null || active !== null || waiting.size === 0) return;
  timer = setTimeout(() => {
    timer = null;
    void pruneNext();
  }, DELAY_MS);
  // Retention keeps no process alive.
  timer.unref();
}

async function pruneNext(): Promise<void> {
  const [workspace] = waiting;
  if (workspace === undefined) return;
  waiting.delete(workspace);
  const abort = new AbortController();
  active = { workspace, abort };
  try {
    await atPublicEdge('Pruning', workspace.info.path, () =>
      workspace.prune({ signal: abort.signal }),
    );
  } catch (error) {
    warnOf(error, abort.signal);
  } finally {
    active = null;
    arrange();
  }
}

function warnOf(error: unknown, signal: AbortSignal): void {
  if (signal.aborted) return;
  if (!(error instanceof GhostsnapError)) throw error;
  // Somebody else is at work there for long: the next snapshots ask again.
  if (error.kind === 'transient') return;
  process.emitWarning(`ghostsnap could not prune in the background: ${error.message}`);
}

let hasHandedOver = false;

/** Retention by a process of its own. */
export function pruneInBackground(environment: Environment, workspacePath: string): void {
  if (hasHandedOver) return;
  hasHandedOver = true;
  // Asked for here: one snapshot in many hands over, and every command would load it. It may not be waited
  // for, as the caller is about to end.
  const { spawn } = process.getBuiltinModule('node:child_process');
  const child = spawn(process.execPath, [PROGRAM, 'prune', '-w', workspacePath], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
    env: { ...environment.env, GHOSTSNAP_BACKGROUND: '1' },
  });
  // Without a listener a failed start would end the caller, whose snapshot is taken.
  child.on('error', (error) => {
    process.emitWarning(`ghostsnap could not prune in the background: ${error.message}`);
  });
  child.unref();
}
