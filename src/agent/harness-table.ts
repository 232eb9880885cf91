/** Every harness there is, by name. */
import { GhostsnapError } from '../core/errors.ts';
import { claudeCode } from './harness/claude-code.ts';
import { codex } from './harness/codex.ts';
import { copilotCli } from './harness/copilot-cli.ts';
import { cursor } from './harness/cursor.ts';
import { geminiCli } from './harness/gemini-cli.ts';
import { HARNESS_NAMES, type Harness, type HarnessName } from './harness/harness.ts';
import { opencode } from './harness/opencode.ts';
import { vscode } from './harness/vscode.ts';

export const HARNESSES: Readonly<Record<HarnessName, Harness>> = {
  'claude-code': claudeCode,
  codex,
  'gemini-cli': geminiCli,
  opencode,
  cursor,
  vscode,
  'copilot-cli': copilotCli,
};

/** Older versions of Cursor have these in place of the one that is installed. */
const OLDER_BEFORE_TOOL = ['beforeShellExecution', 'beforeMCPExecution'];

/** The events, of any harness, that can stop a tool. What fails at another one must stop nothing. */
export const BEFORE_TOOL_EVENTS: readonly string[] = [
  ...new Set(Object.values(HARNESSES).map(({ beforeTool }) => beforeTool)),
  ...OLDER_BEFORE_TOOL,
];

/** Whether a tool waits for this report; an event without a name may be one that does. */
export function isBeforeTool(event: string): boolean {
  return event === '' || BEFORE_TOOL_EVENTS.includes(event);
}

/** @throws GhostsnapError BAD_ARGUMENT */
export function harnessNamed(name: string): Harness {
  const known = HARNESS_NAMES.find((candidate) => candidate === name);
  if (known !== undefined) return HARNESSES[known];
  throw new GhostsnapError('BAD_ARGUMENT', `There is no harness ${JSON.stringify(name)}.`, {
    hint: `Known are ${HARNESS_NAMES.join(', ')}.`,
  });
}
