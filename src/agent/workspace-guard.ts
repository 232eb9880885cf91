/**
 * A guard that keeps the state before each call in a workspace, and its entry in the log.
 *
 * A failed snapshot refuses the call, or lets it go with a warning when the policy says so; nothing else
 * is ever let through. What a call did is judged by the policy before its end is answered; the next snapshot
 * is armed while nobody waits, and the next call breaks that work off.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GhostsnapError } from '../core/errors.ts';
import type { CallOutcome } from '../core/event.ts';
import type { CallId } from '../core/ids.ts';
import { NAME_BYTES_MAX } from '../core/limits.ts';
import type { CallAdvice, Workspace } from '../engine/workspace-api.ts';
import {
  type BegunCall,
  type CallGuard,
  type GuardedCall,
  NOBODY_TO_ASK,
  type OnSnapshotFailure,
} from './call-guard.ts';
import { messageOfCall } from './judged-call.ts';

export type GuardedWorkspace = Pick<
  Workspace,
  'beginCall' | 'adviseCall' | 'endCall' | 'judgeCall' | 'findUnattributed' | 'arm' | 'endSession'
>;

export interface WorkspaceGuardOptions {
  readonly workspace: GuardedWorkspace;
  /** Groups the calls in the log. */
  readonly session: string;
  /** What the calls come from: 'mcp', 'ai-sdk', ... */
  readonly harness: string;
  readonly onSnapshotFailure: OnSnapshotFailure;
  /** 'yes': a person is asked what `BegunCall.question` says. 'no' (default): such a call is refused. */
  readonly canAsk?: 'yes' | 'no';
  /** Told what could not be recorded, and of each call that goes without a snapshot. */
  readonly onProblem: (text: string) => void;
}

const NOTHING_TOLD = Promise.resolve(null);

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
      return this.#begun(recorded, 'read-only', null);
    }
    this.#idleWork.abort();
    this.#inFlight += 1;
    try {
      const recorded = this.#record(call);
      const question = await this.#askPolicy(await recorded, call.input);
      return this.#begun(recorded, 'judged', question);
    } catch (failure) {
      this.#inFlight -= 1;
      throw failure;
    }
  }

  /** Ends the session. Every call has to have ended. */
  async close(): Promise<void> {
    this.#idleWork.abort();
    // What has ended may have left work of its own for when nobody waits.
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
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

  /** Where nobody can be asked, what the policy wants asked does not run. */
  async #askPolicy(call: CallId, input: unknown): Promise<string | null> {
    const { workspace } = this.#options;
    const advice = await this.#adviceOn(call, input);
    if (advice?.action !== 'ask') return null;
    const { message } = advice;
    if (this.#options.canAsk === 'yes') return message;
    await workspace.endCall({ call, outcome: 'blocked' });
    throw new GhostsnapError('CONFIRMATION_NEEDED', message, { hint: NOBODY_TO_ASK });
  }

  /** As with hooks: a policy that cannot be read stops no tool, and is told. */
  async #adviceOn(call: CallId, input: unknown): Promise<CallAdvice | null> {
    try {
      return await this.#options.workspace.adviseCall(call, input);
    } catch (error) {
      if (!(error instanceof GhostsnapError)) throw error;
      this.#options.onProblem(error.message);
      return null;
    }
  }

  #begun(
    recorded: Promise<CallId>,
    how: 'read-only' | 'judged',
    question: string | null,
  ): BegunCall {
    let isOver = false;
    return {
      question,
      end: (outcome) => {
        if (isOver) return NOTHING_TOLD;
        isOver = true;
        const ended = recorded.then((call) => this.#endCall(call, outcome));
        const message = how === 'judged' ? ended.then((call) => this.#judge(call)) : NOTHING_TOLD;
        this.#track(this.#told(() => Promise.all([ended, message])));
        // A call whose entry could not be written was never begun for anybody who waits here.
        return message.catch(() => null);
      },
    };
  }

  async #endCall(call: CallId, outcome: CallOutcome): Promise<CallId> {
    await this.#told(() => this.#options.workspace.endCall({ call, outcome }));
    return call;
  }

  /** The agent waits for it: a rollback must be done before its next tool runs. */
  async #judge(call: CallId): Promise<string | null> {
    let message: string | null = null;
    await this.#told(async () => {
      message = await messageOfCall(this.#options.workspace, call);
    });
    this.#inFlight -= 1;
    this.#track(this.#whenIdle(call));
    return message;
  }

  /** Arms the next snapshot and looks for changes without a call, unless another call is under way. */
  async #whenIdle(call: CallId): Promise<void> {
    const { workspace } = this.#options;
    // The answer of this call is written in this turn of the loop, or the call behind it begins.
    await nextTurn();
    if (this.#inFlight > 0) return;
    const idle = new AbortController();
    this.#idleWork = idle;
    const { signal } = idle;
    await this.#told(async () => {
      // First what the next call waits for.
      await workspace.arm();
      if (!signal.aborted) await workspace.findUnattributed(call, { signal });
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
