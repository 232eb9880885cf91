/**
 * An agent at work in a workspace: its sessions, its prompts, its tool calls, and what each of them did.
 *
 * What does not touch the tree is recorded in the queue and lock all the same, as its order counts.
 */
import { assert } from '../core/errors.ts';
import type { CallId, PromptId } from '../core/ids.ts';
import type { CallAdvice } from './advise-call.ts';
import { sessionInfo } from './agent-info.ts';
import { endSession, ensureSession, submitPrompt } from './agent-sessions.ts';
import type {
  BeginCallRequest,
  BegunCall,
  CallChanges,
  EndCallRequest,
  PromptRequest,
  SessionInfo,
  SessionRequest,
} from './call-results.ts';
import type { Judgement, JudgeOptions } from './judge-call.ts';
import { beginCall, endCall, findUnattributed, measureCall } from './tool-calls.ts';
import { WorkspaceTurns } from './workspace-turns.ts';

export abstract class WorkspaceCalls extends WorkspaceTurns {
  /** After a snapshot: retention looks again when there are enough. */
  protected abstract pruneIfDue(): void;

  async beginCall(request: BeginCallRequest): Promise<BegunCall> {
    const { clock } = this.session.ports;
    const startedMs = clock.monotonicMs();
    const on = { ...request, purpose: 'begin a tool call' };
    const begun = await this.exclusive(on, () => beginCall(this.session, request));
    this.pruneIfDue();
    return { ...begun, durationMs: clock.monotonicMs() - startedMs };
  }

  async endCall(request: EndCallRequest): Promise<CallId> {
    return await this.record('end a tool call', request, () => endCall(this.session, request));
  }

  measureCall(call: CallId, options: { signal?: AbortSignal } = {}): Promise<CallChanges | null> {
    return measureCall(this.session, call, options.signal);
  }

  findUnattributed(call: CallId, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    return findUnattributed(this.session, call, options.signal);
  }

  async judgeCall(call: string, options: JudgeOptions = {}): Promise<Judgement> {
    const { judgeCall } = await import('./judge-call.ts');
    return await judgeCall(this.session, this.host.judging, { ...options, call });
  }

  async adviseCall(call: string, input: unknown): Promise<CallAdvice | null> {
    const { adviseCall } = await import('./advise-call.ts');
    return await adviseCall(this.session, this.host.judging, { call, input });
  }

  async startSession(request: SessionRequest): Promise<SessionInfo> {
    const name = await this.record('start a session', request, () =>
      ensureSession(this.session, request),
    );
    const row = this.session.ports.catalog.session(this.session.ref.id, name);
    assert(row !== null, 'a session that was recorded is in the catalog');
    return sessionInfo(row);
  }

  async endSession(session: string): Promise<void> {
    await this.record('end a session', {}, () => endSession(this.session, session));
  }

  async submitPrompt(request: PromptRequest): Promise<PromptId> {
    return await this.record('record a prompt', request, () => submitPrompt(this.session, request));
  }
}
