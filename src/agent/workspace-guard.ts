/**
 * A guard that keeps the state before each call in a workspace, and its entry in the log.
 *
 * A failed snapshot refuses the call, or lets it go with a warning when the policy says so; nothing else
 * is ever let through. What a call did is counted, and the next snapshot armed, while nobody waits: the
 * next call breaks that work off.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { CallId } from '../core/ids.ts';
import { NAME_BYTES_MAX } from '../core/limits.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { BegunCall, CallGuard, GuardedCall, OnSnapshotFailure } from './call-guard.ts';

export type GuardedWorkspace = Pick<
  Workspace,
  'beginCall' | 'endCall' | 'measureCall' | 'findUnattributed' | 'arm' | 'endSession'
>;

export interface WorkspaceGuardOptions {
  readonly workspace: GuardedWorkspace;
  /** Groups the calls in the log. */
  readonly session: string;
  /** What the calls come from: 'mcp', 'ai-sdk', ... */
  readonly harness: string;
  readonly onSnapshotFailure: OnSnapshotFailure;
  /** Told what could not be recorded, and of each call that goes without a snapshot. */
  readonly onProblem: (text: string) => void;
}

export class WorkspaceGuard implements CallGuard {
  readonly #options: WorkspaceGuardOptions;
  readonly #underWay = new Set<Promise<void>>();
  #idleWork = new AbortController();
  /** Calls under way that may change something. */
  #inFlight = 0;

  constructor(options: WorkspaceGuardOptions) {
    this.#options = options;
  }

  async begin(call: GuardedCall): Promise<BegunCall> {
    // A call that changes nothing waits for nothing: its entry is written behind it, in its place.
    if (call.readOnly === 'yes') {
      const recorded = this.#record(call);
      recorded.catch(() => {
        // Told when the call ends.
      });
      return this.#begun(recorded, async () => {});
    }
    this.#idleWork.abort();
    this.#inFlight += 1;
    try {
      const recorded = this.#record(call);
      await recorded;
      return this.#begun(recorded, (id) => this.#afterChange(id));
    } catch (failure) {
      this.#inFlight -= 1;
      throw failure;
    }
  }

  /** Ends the session. Every call has to have ended. */
  async close(): Promise<void> {
    this.#idleWork.abort();
    await Promise.all(this.#underWay);
    await this.#told(() => this.#options.workspace.endSession(nameOf(this.#options.session)));
  }

  async #record(call: GuardedCall): Promise<CallId> {
    const { workspace, session, harness, onSnapshotFailure } = this.#options;
    const begun = await workspace.beginCall({
      ...{ session: nameOf(session), harness, onSnapshotFailure },
      tool: nameOf(call.tool),
      key: nameOf(call.key),
      // Ends are reported by the id of the call, and a client that uses a key twice has two calls.
      keyKind: 'derived',
      input: call.input,
      readOnly: call.readOnly,
    });
    if (begun.unprotected !== null) {
      this.#options.onProblem(`${call.tool} runs without a snapshot: ${begun.unprotected}`);
    }
    return begun.call;
  }

  #begun(recorded: Promise<CallId>, afterwards: (id: CallId) => Promise<void>): BegunCall {
    let isOver = false;
    return {
      end: (outcome) => {
        if (isOver) return;
        isOver = true;
        this.#track(
          this.#told(async () => {
            const call = await recorded;
            await this.#told(() => this.#options.workspace.endCall({ call, outcome }));
            await afterwards(call);
          }),
        );
      },
    };
  }

  /** Counts what the call did and arms the next snapshot, unless another one is under way. */
  async #afterChange(call: CallId): Promise<void> {
    const { workspace } = this.#options;
    this.#inFlight -= 1;
    if (this.#inFlight > 0) return;
    const idle = new AbortController();
    this.#idleWork = idle;
    const { signal } = idle;
    await this.#told(async () => {
      await workspace.measureCall(call, { signal });
      if (!signal.aborted) await workspace.findUnattributed(call, { signal });
      if (!signal.aborted) await workspace.arm();
    }, signal);
  }

  /** Runs what nobody waits for: a failure is told, and being broken off is none. */
  async #told(work: () => Promise<unknown>, signal?: AbortSignal): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (signal?.aborted === true) return;
      // Something else has ended it already: the session, or a bound on calls in flight.
      if (error instanceof GhostsnapError && error.code === 'CALL_NOT_FOUND') return;
      this.#options.onProblem(error instanceof Error ? error.message : String(error));
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }
}

/** Untrusted text as a name: one line, no control characters, bounded, not empty. */
export function nameOf(text: string): string {
  const line = text.replace(/\p{Cc}/gu, '\uFFFD').toWellFormed();
  const bytes = Buffer.from(line === '' ? '-' : line);
  if (bytes.length <= NAME_BYTES_MAX) return bytes.toString('utf8');
  return new TextDecoder().decode(bytes.subarray(0, NAME_BYTES_MAX - 3)).replace(/\uFFFD$/, '');
}
