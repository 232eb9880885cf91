/**
 * What stands between an agent and its tools, whatever way the call comes: a snapshot before, the end
 * told afterwards.
 *
 * Invariant: `begin` resolves only when the state before the call is safe, or when the policy says that
 * the call may go without. It rejects otherwise, and then the call must not run.
 */

export interface GuardedCall {
  readonly tool: string;
  /** The caller's own name for the call, unique in its session. */
  readonly key: string;
  /** The tool's input; redacted and bounded before anything keeps it. */
  readonly input: unknown;
  /** Declared free of effects, by somebody who is believed. */
  readonly readOnly: 'yes' | 'no';
}

export interface BegunCall {
  /** What the person is to be asked before the call runs; null: nothing. Only where they can be asked. */
  readonly question: string | null;
  /**
   * Tells the end; never fails. A second time does nothing.
   * @returns what the agent is to be told of the call, when it was judged; null: nothing
   */
  end(outcome: 'ok' | 'failed' | 'unknown'): Promise<string | null>;
}

/** Where the policy wants a person to be asked and no dialog can be opened. */
export const NOBODY_TO_ASK =
  'ghostsnap cannot open a dialog here, so it was not run. Ask the person to run it, or to change the rule "destructive-commands" of the policy.';

export interface CallGuard {
  /** @throws GhostsnapError why no snapshot could be taken */
  begin(call: GuardedCall): Promise<BegunCall>;
}

/** What happens to a call whose snapshot failed. */
export type OnSnapshotFailure = 'block' | 'warn';
