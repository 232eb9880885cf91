/**
 * Payloads and replies as Claude Code invented them; Codex and VS Code took them over with differences
 * that their own files state.
 *
 * A reply never says "allow": that would skip the person's own permission rules. It says nothing, or
 * "deny" with a reason.
 */
import { z } from 'zod';
import type { HookAction, HookOutcome, HookReply } from '../hook-action.ts';
import type { HookProbe } from './harness.ts';
import {
  derivedKey,
  directoryField,
  idField,
  parseFields,
  promptField,
  subSession,
  toolField,
} from './payload-fields.ts';

const SCHEMA = z.looseObject({
  session_id: idField,
  cwd: directoryField,
  hook_event_name: z.string().max(64),
  agent_id: idField.optional(),
  tool_name: toolField.optional(),
  tool_input: z.unknown().optional(),
  tool_use_id: idField.optional(),
  tool_response: z.unknown().optional(),
  prompt: promptField.optional(),
});

export interface ClaudeShapeOptions {
  readonly title: string;
  readonly isReadOnly: (tool: string) => boolean;
}

/** @throws GhostsnapError BAD_ARGUMENT */
export function parseClaudeShape(payload: unknown, options: ClaudeShapeOptions): HookAction {
  const fields = parseFields(SCHEMA, payload, options.title);
  const place = {
    ...subSession(fields.session_id, fields.agent_id),
    directory: fields.cwd,
  };
  switch (fields.hook_event_name) {
    case 'PreToolUse': {
      const { tool, key, keyKind, input } = callOf(fields, options.title);
      const readOnly = options.isReadOnly(tool) ? 'yes' : 'no';
      return { type: 'begin-call', ...place, tool, input, key, keyKind, readOnly };
    }
    case 'PostToolUse': {
      const { key } = callOf(fields, options.title);
      const outcome = isFailure(fields.tool_response) ? 'failed' : 'ok';
      return { type: 'end-call', ...place, key, outcome };
    }
    case 'PostToolUseFailure': {
      const { key } = callOf(fields, options.title);
      return { type: 'end-call', ...place, key, outcome: 'failed' };
    }
    case 'UserPromptSubmit':
      return { type: 'prompt', ...place, text: fields.prompt ?? '' };
    case 'SessionStart':
    case 'SubagentStart':
      return { type: 'start-session', ...place };
    case 'SessionEnd':
    case 'SubagentStop':
      // A stop that names no agent says nothing about the session, which goes on.
      if (fields.hook_event_name === 'SubagentStop' && place.parentSession === null) {
        return { type: 'ignore' };
      }
      return { type: 'end-session', ...place };
    default:
      return { type: 'ignore' };
  }
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

function callOf(
  fields: Fields,
  title: string,
): { tool: string; key: string; keyKind: 'unique' | 'derived'; input: unknown } {
  const { tool_name: tool } = parseFields(z.looseObject({ tool_name: toolField }), fields, title);
  const input = fields.tool_input ?? null;
  return fields.tool_use_id === undefined
    ? { tool, input, key: derivedKey(tool, input), keyKind: 'derived' }
    : { tool, input, key: fields.tool_use_id, keyKind: 'unique' };
}

/** Some versions report a failed tool as a response that says so. */
function isFailure(response: unknown): boolean {
  if (typeof response !== 'object' || response === null) return false;
  const { is_error: isError, interrupted, success } = response as Record<string, unknown>;
  return isError === true || interrupted === true || success === false;
}
