/**
 * What a hook asks for, whatever harness it comes from, and what it is answered.
 *
 * A harness's file turns its payloads into actions and outcomes into its own reply; nothing else in the
 * program knows how a harness talks.
 */
import type { CallOutcome } from '../core/event.ts';

/** Where the agent is. */
export interface AgentPlace {
  readonly session: string;
  readonly parentSession: string | null;
  /** Absolute. */
  readonly directory: string;
}

export interface CallEvidence {
  /** Absolute. */
  readonly file: string;
  /** @param end what the file ends with. @returns null: it does not say either */
  outcomeIn(end: string): CallOutcome | null;
}

export type HookAction =
  | ({
      readonly type: 'begin-call';
      readonly tool: string;
      readonly input: unknown;
      readonly key: string;
      readonly keyKind: 'unique' | 'derived';
      readonly readOnly: 'yes' | 'no';
    } & AgentPlace)
  | ({
      readonly type: 'end-call';
      /** As at the beginning, where the harness says it again. */
      readonly input: unknown;
      readonly key: string;
      readonly outcome: CallOutcome;
      /** Where the harness wrote down how the call ended, when its report does not say. */
      readonly evidence?: CallEvidence;
    } & AgentPlace)
  | ({ readonly type: 'start-session' } & AgentPlace)
  | ({ readonly type: 'end-session' } & AgentPlace)
  | ({ readonly type: 'prompt'; readonly text: string } & AgentPlace)
  /** An event that says nothing about the workspace. */
  | { readonly type: 'ignore' };

export type HookOutcome =
  /** The tool may run, or there is nothing to say. */
  | { readonly type: 'ok' }
  /** The tool may run; the person should read this once. */
  | { readonly type: 'notice'; readonly message: string }
  /** The tool may run; the agent should read this before it does. */
  | { readonly type: 'advice'; readonly message: string }
  /** The tool may run when the person says so, in the harness's own dialog. */
  | { readonly type: 'ask'; readonly reason: string }
  /** The tool has run; the agent should read this, and the person as well. */
  | { readonly type: 'feedback'; readonly message: string }
  /** The tool must not run. */
  | { readonly type: 'block'; readonly reason: string }
  /** Something went wrong that stops no tool: a report that could not be recorded. */
  | { readonly type: 'error'; readonly reason: string };

/** For a command: what it prints and how it ends. Over HTTP the body is `stdout`. */
export interface HookReply {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}
