/**
 * What an event of a harness means, and the action that comes of it.
 *
 * Harnesses name their events and fields differently and mean the same few things by them. A harness says
 * which event means what, and gives the parts; only those that the meaning needs are looked at, so that a
 * prompt without a tool's name is no error.
 */
import type { CallOutcome } from '../../core/event.ts';
import type { AgentPlace, HookAction } from '../hook-action.ts';

export type EventMeaning = 'begin-call' | 'end-call' | 'prompt' | 'start-session' | 'end-session';

export interface NamedCall {
  readonly tool: string;
  readonly input: unknown;
  readonly key: string;
  readonly keyKind: 'unique' | 'derived';
}

export interface EventParts {
  readonly place: AgentPlace;
  /** @throws GhostsnapError BAD_ARGUMENT for a call without a name */
  readonly call: () => NamedCall;
  readonly outcome: () => CallOutcome;
  readonly prompt: string | undefined;
  readonly readOnlyTools: ReadonlySet<string>;
}

/** @param meaning undefined: an event that says nothing about the workspace */
export function actionOf(meaning: EventMeaning | undefined, parts: EventParts): HookAction {
  const { place } = parts;
  switch (meaning) {
    case 'begin-call': {
      const call = parts.call();
      const readOnly = parts.readOnlyTools.has(call.tool) ? 'yes' : 'no';
      return { type: 'begin-call', ...place, ...call, readOnly };
    }
    case 'end-call': {
      const { key, input } = parts.call();
      return { type: 'end-call', ...place, key, input, outcome: parts.outcome() };
    }
    case 'prompt':
      return { type: 'prompt', ...place, text: parts.prompt ?? '' };
    case 'start-session':
    case 'end-session':
      return { type: meaning, ...place };
    case undefined:
      return { type: 'ignore' };
  }
}

/** The meaning of an event by its name; a name that an object inherits is none. */
export function meaningOf(
  events: Readonly<Record<string, EventMeaning>>,
  event: string,
): EventMeaning | undefined {
  return Object.hasOwn(events, event) ? events[event] : undefined;
}
