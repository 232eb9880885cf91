/**
 * OpenCode: a plugin inside its process (`opencode-plugin.ts` writes it) that reports in this shape of
 * our own. A tool is blocked by the plugin, which throws what the reply says.
 */
import { z } from 'zod';
import type { HookAction, HookOutcome, HookReply } from '../hook-action.ts';
import { json } from './claude-shape.ts';
import type { Harness } from './harness.ts';
import {
  directoryField,
  idField,
  parseFields,
  promptField,
  subSession,
  toolField,
} from './payload-fields.ts';

const place = { session: idField, parent: idField.nullish(), directory: directoryField };
const SCHEMA = z.discriminatedUnion('event', [
  z.looseObject({
    event: z.literal('tool.execute.before'),
    ...place,
    tool: toolField,
    call: idField,
    args: z.unknown().optional(),
  }),
  z.looseObject({
    event: z.literal('tool.execute.after'),
    ...place,
    call: idField,
    args: z.unknown().optional(),
    failed: z.boolean().optional(),
  }),
  z.looseObject({ event: z.literal('chat.message'), ...place, text: promptField }),
  z.looseObject({ event: z.literal('session.created'), ...place }),
  z.looseObject({ event: z.literal('session.deleted'), ...place }),
]);

const readOnlyTools: ReadonlySet<string> = new Set([
  ...['read', 'glob', 'grep', 'list', 'ls', 'lsp', 'webfetch', 'websearch', 'codesearch'],
  ...['todoread', 'todowrite', 'question', 'skill', 'plan_enter', 'plan_exit'],
]);

const title = 'OpenCode';

export const opencode: Harness = {
  name: 'opencode',
  title,
  beforeTool: 'tool.execute.before',
  afterTool: 'tool.execute.after',
  canAsk: false,
  readOnlyTools,
  parse,
  reply,
  probe: (event, { session, call, directory, tool }) => ({
    ...{ event, session, call, directory, tool },
    args: { command: 'true' },
  }),
};

function parse(payload: unknown): HookAction {
  const fields = parseFields(SCHEMA, payload, title);
  const { session, directory } = fields;
  const at = { ...subSession(session, undefined), parentSession: fields.parent ?? null, directory };
  switch (fields.event) {
    case 'tool.execute.before': {
      const { tool, call: key, args: input } = fields;
      const readOnly = readOnlyTools.has(tool) ? 'yes' : 'no';
      return { type: 'begin-call', ...at, tool, input, key, keyKind: 'unique', readOnly };
    }
    case 'tool.execute.after':
      return {
        type: 'end-call',
        ...at,
        key: fields.call,
        input: fields.args,
        outcome: fields.failed === true ? 'failed' : 'ok',
      };
    case 'chat.message':
      return { type: 'prompt', ...at, text: fields.text };
    case 'session.created':
      return { type: 'start-session', ...at };
    case 'session.deleted':
      return { type: 'end-session', ...at };
  }
}

function reply(_event: string, outcome: HookOutcome): HookReply {
  switch (outcome.type) {
    case 'ok':
    // The plugin reaches nobody before a tool, and cannot ask.
    case 'advice':
    case 'ask':
      return json({});
    case 'notice':
      return json({ notice: outcome.message });
    case 'feedback':
      return json({ feedback: outcome.message });
    case 'block':
      return json({ block: outcome.reason });
    case 'error':
      return json({ error: outcome.reason });
  }
}
