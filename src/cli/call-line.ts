/**
 * One line of a tool call's input, for people: the command, the path, or what else says most.
 *
 * The input is redacted, bounded JSON from an agent; its text is made safe for a terminal by whoever
 * prints it.
 */
import { commandIn } from '../core/command-in.ts';
import type { CallInfo } from '../engine/call-results.ts';

/** Fields that say what a call is about, the best first, across the agents in use. */
const TELLING = [
  ...[
    'command',
    'cmd',
    'script',
    'file_path',
    'filePath',
    'path',
    'absolute_path',
    'notebook_path',
  ],
  ...['pattern', 'query', 'url', 'description', 'prompt'],
];

/** The command line of a call that runs one; null for every other call. */
export function commandOf(call: Pick<CallInfo, 'input'>): string | null {
  return commandIn(fieldsOf(call.input));
}

/**
 * '' when the input says nothing.
 * @param root the workspace's path: what lies in it is named from there; null: it is on another machine
 */
export function inputLine(call: Pick<CallInfo, 'input'>, root: string | null): string {
  const command = commandOf(call);
  if (command !== null) return oneLine(command);
  const input = fieldsOf(call.input);
  const key = TELLING.find((one) => typeof input[one] === 'string');
  if (key !== undefined) return oneLine(fromRoot(String(input[key]), root));
  return Object.keys(input).length === 0 ? '' : oneLine(call.input);
}

function fromRoot(text: string, root: string | null): string {
  return root !== null && text.startsWith(`${root}/`) ? text.slice(root.length + 1) : text;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function fieldsOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // Written by another version, perhaps: an input that cannot be read says nothing.
    return {};
  }
}
