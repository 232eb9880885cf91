/**
 * Fields that payloads share, as schemas, and what they are turned into.
 *
 * Unknown fields are allowed, because harnesses add some with every version; what is used is bounded.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { GhostsnapError } from '../../core/errors.ts';
import { NAME_BYTES_MAX } from '../../core/limits.ts';
import type { NamedCall } from './event-meaning.ts';

/** Half of what the catalog takes: a subagent's session is two ids with a slash between. */
const ID_LENGTH_MAX = Math.floor(NAME_BYTES_MAX / 2) - 1;
const PATH_LENGTH_MAX = 4096;

const plainText = /^[^\p{Cc}\p{Cs}]+$/u;
export const idField = z.string().min(1).max(ID_LENGTH_MAX).regex(plainText, 'plain text');
export const toolField = z.string().min(1).max(ID_LENGTH_MAX).regex(plainText, 'plain text');
export const directoryField = z
  .string()
  .max(PATH_LENGTH_MAX)
  .refine((text) => path.isAbsolute(text) && !text.includes('\0'), 'an absolute path');
export const promptField = z.string();

/** What several harnesses call by the same names. */
export const sharedFields = {
  hook_event_name: z.string().max(64),
  tool_name: toolField.optional(),
  tool_input: z.unknown().optional(),
  tool_response: z.unknown().optional(),
  prompt: promptField.optional(),
};

/** @throws GhostsnapError BAD_ARGUMENT naming what does not fit */
export function parseFields<T>(schema: z.ZodType<T>, payload: unknown, title: string): T {
  const result = schema.safeParse(payload);
  if (result.success) return result.data;
  const wrong = result.error.issues.slice(0, 5).map(({ path: at, message }) => {
    const name = at.map(String).join('.').slice(0, 80);
    return name === '' ? message : `${name}: ${message}`;
  });
  throw new GhostsnapError(
    'BAD_ARGUMENT',
    `The payload of ${title} was not understood: ${wrong.join('; ')}.`,
    { hint: 'Check with "ghostsnap hook test" whether this version is known; nothing was done.' },
  );
}

/** A name for a call whose harness gives none: the same before and after, for the same tool and input. */
export function derivedKey(tool: string, input: unknown): string {
  const text = `${tool}\0${JSON.stringify(input) ?? ''}`;
  return `derived-${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
}

/** A call that its harness gives no id. @throws GhostsnapError BAD_ARGUMENT without a tool's name */
export function derivedCall(name: unknown, input: unknown, title: string): NamedCall {
  const tool = toolNamed(name, title);
  return { tool, input, key: derivedKey(tool, input), keyKind: 'derived' };
}

/** @throws GhostsnapError BAD_ARGUMENT */
export function toolNamed(name: unknown, title: string): string {
  return parseFields(z.object({ tool: toolField }), { tool: name }, title).tool;
}

/** The session of an agent that another one started. */
export function subSession(
  session: string,
  agent: string | undefined,
): { readonly session: string; readonly parentSession: string | null } {
  return agent === undefined || agent === session
    ? { session, parentSession: null }
    : { session: `${session}/${agent}`, parentSession: session };
}
