/**
 * What the core decides about sessions of agents and their tool calls.
 *
 * A call is in flight from `call.begun` to `call.ended`; every call ends exactly once. An end that nobody
 * will report any more (the next prompt came, the session ended, too many are in flight) is written as
 * 'unknown' before what made it certain. Nothing here depends on whether a snapshot could be taken.
 */
import type { CallCommand, Command } from './command.ts';
import type { Conflict } from './conflict.ts';
import type { EventBody } from './event.ts';
import { type CallId, callId, nextUlid, promptId } from './ids.ts';
import { CALLS_IN_FLIGHT_MAX } from './limits.ts';
import type { CallInFlight, WorkspaceState } from './state.ts';

const CALL_COMMANDS: ReadonlySet<Command['type']> = new Set<CallCommand['type']>([
  'start-session',
  'end-session',
  'submit-prompt',
  'begin-call',
  'refuse-call',
  'end-call',
  'measure-call',
  'judge-call',
  'note-unattributed',
]);

export function isCallCommand(command: Command): command is CallCommand {
  return CALL_COMMANDS.has(command.type);
}

export function findCallConflict(state: WorkspaceState, command: Command): Conflict | null {
  if (command.type !== 'end-call') return null;
  if (state.calls.some(({ call }) => call === command.call)) return null;
  return {
    code: 'CALL_NOT_FOUND',
    message: `The call ${command.call} is not in flight.`,
    hint: 'It ended already, or it never began; list calls with "ghostsnap log".',
  };
}

export function decideCall(
  state: WorkspaceState,
  command: CallCommand,
  nowMs: number,
): readonly EventBody[] {
  switch (command.type) {
    case 'start-session': {
      const { session, harness, parent } = command;
      return [{ type: 'session.started', session, harness, parent }];
    }
    case 'end-session': {
      const { session } = command;
      return [...endedUnknown(callsOf(state, session)), { type: 'session.ended', session }];
    }
    case 'submit-prompt': {
      const { session, text, random } = command;
      const prompt = promptId(nextUlid(state.lastUlid, nowMs, random));
      return [
        ...endedUnknown(callsOf(state, session)),
        { type: 'prompt.submitted', prompt, session, text },
      ];
    }
    case 'begin-call':
      return beginCall(state, command, nowMs).bodies;
    case 'refuse-call': {
      const { call, bodies } = beginCall(state, command, nowMs);
      return [...bodies, { type: 'call.ended', call, outcome: 'blocked' }];
    }
    case 'end-call':
      return [{ type: 'call.ended', call: command.call, outcome: command.outcome }];
    case 'measure-call': {
      const { call, added, deleted, modified, digest } = command;
      return [{ type: 'call.measured', call, added, deleted, modified, digest }];
    }
    case 'judge-call': {
      const { call, action, findings, operation } = command;
      return [{ type: 'call.judged', call, action, findings, operation }];
    }
    case 'note-unattributed': {
      const { snapshot, since } = command;
      return [{ type: 'change.unattributed', snapshot, since }];
    }
  }
}

function beginCall(
  state: WorkspaceState,
  command: Extract<CallCommand, { type: 'begin-call' | 'refuse-call' }>,
  nowMs: number,
): { readonly call: CallId; readonly bodies: readonly EventBody[] } {
  const { session, prompt, tool, input, key, snapshot, readOnly, unprotected } = command;
  const call = callId(nextUlid(state.lastUlid, nowMs, command.random));
  const surplus = Math.max(0, state.calls.length - CALLS_IN_FLIGHT_MAX + 1);
  const overlaps = state.calls.slice(surplus).map((other) => other.call);
  const bodies: readonly EventBody[] = [
    ...endedUnknown(state.calls.slice(0, surplus)),
    {
      type: 'call.begun',
      ...{ call, session, prompt, tool, input, key, snapshot, readOnly, unprotected, overlaps },
    },
  ];
  return { call, bodies };
}

function callsOf(state: WorkspaceState, session: string): readonly CallInFlight[] {
  return state.calls.filter((call) => call.session === session);
}

function endedUnknown(calls: readonly CallInFlight[]): readonly EventBody[] {
  return calls.map(({ call }) => ({ type: 'call.ended', call, outcome: 'unknown' }));
}
