/**
 * Payloads and replies as Claude Code invented them; Codex and VS Code took them over with differences
 * that their own files state.
 *
 * A reply never says "allow": that would skip the person's own permission rules. It says nothing, or
 * "deny" with a reason.
 */
import { z } from 'zod';
import type { HookAction, HookOutcome, HookReply } from '../hook-action.ts';
import { actionOf, type EventMeaning, meaningOf, type NamedCall } from './event-meaning.ts';
import type { HookProbe } from './harness.ts';
import {
  derivedCall,
  directoryField,
  idField,
  parseFields,
  sharedFields,
  subSession,
  toolNamed,
} from './payload-fields.ts';

const SCHEMA = z.looseObject({
  ...sharedFields,
  session_id: idField,
  cwd: directoryField,
  agent_id: idField.optional(),
  tool_use_id: idField.optional(),
});

export interface ClaudeShapeOptions {
  readonly title: string;
  readonly readOnlyTools: ReadonlySet<string>;
}

const EVENTS: Readonly<Record<string, EventMeaning>> = {
  PreToolUse: 'begin-call',
  PostToolUse: 'end-call',
  PostToolUseFailure: 'end-call',
  UserPromptSubmit: 'prompt',
  SessionStart: 'start-session',
  SubagentStart: 'start-session',
  SessionEnd: 'end-session',
  SubagentStop: 'end-session',
};

/** @throws GhostsnapError BAD_ARGUMENT */
export function parseClaudeShape(payload: unknown, options: ClaudeShapeOptions): HookAction {
  const { title, readOnlyTools } = options;
  const fields = parseFields(SCHEMA, payload, title);
  const { hook_event_name: event } = fields;
  const place = { ...subSession(fields.session_id, fields.agent_id), directory: fields.cwd };
  // A stop that names no agent says nothing about the session, which goes on.
  if (event === 'SubagentStop' && place.parentSession === null) return { type: 'ignore' };
  const isFailed = event === 'PostToolUseFailure' || isFailure(fields.tool_response);
  return actionOf(meaningOf(EVENTS, event), {
    ...{ place, readOnlyTools },
    call: () => callOf(fields, title),
    outcome: () => (isFailed ? 'failed' : 'ok'),
    prompt: fields.prompt,
  });
}

export function replyClaudeShape(event: string, outcome: HookOutcome): HookReply {
  switch (outcome.type) {
    case 'ok':
      return json({});
    case 'notice':
      return json({ systemMessage: outcome.message });
    case 'advice':
      return json({
        hookSpecificOutput: {
          hookEventName: event === '' ? 'PreToolUse' : event,
          additionalContext: outcome.message,
        },
      });
    case 'feedback':
      // Read by the model beside the tool's result; the person sees the other one.
      return json({
        systemMessage: outcome.message,
        hookSpecificOutput: {
          hookEventName: event === '' ? 'PostToolUse' : event,
          additionalContext: outcome.message,
        },
      });
    case 'ask':
    case 'block':
      return json({
        hookSpecificOutput: {
          hookEventName: event === '' ? 'PreToolUse' : event,
          permissionDecision: outcome.type === 'ask' ? 'ask' : 'deny',
          permissionDecisionReason: outcome.reason,
        },
      });
    case 'error':
      return json({ systemMessage: outcome.reason });
  }
}

export function probeClaudeShape(event: string, probe: HookProbe): unknown {
  return {
    session_id: probe.session,
    transcript_path: '/dev/null',
    cwd: probe.directory,
    hook_event_name: event,
    tool_name: probe.tool,
    tool_input: { command: 'true' },
    tool_use_id: probe.call,
  };
}

export function json(value: unknown): HookReply {
  return { stdout: JSON.stringify(value), stderr: '', exitCode: 0 };
}

type Fields = z.infer<typeof SCHEMA>;

function callOf(fields: Fields, title: string): NamedCall {
  const { tool_use_id: key, tool_input: input = null } = fields;
  return key === undefined
    ? derivedCall(fields.tool_name, input, title)
    : { tool: toolNamed(fields.tool_name, title), input, key, keyKind: 'unique' };
}

/** Some versions report a failed tool as a response that says so. */
function isFailure(response: unknown): boolean {
  if (typeof response !== 'object' || response === null) return false;
  const { is_error: isError, interrupted, success } = response as Record<string, unknown>;
  return isError === true || interrupted === true || success === false;
}
