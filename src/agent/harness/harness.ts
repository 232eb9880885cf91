/**
 * What a harness is to ghostsnap: how its hooks talk.
 *
 * One file a harness implements this and knows nothing but its own format. `parse` is given JSON that
 * passed the bounds of `strict-json.ts` and trusts nothing else about it.
 */
import type { HookAction, HookOutcome, HookReply } from '../hook-action.ts';

export const HARNESS_NAMES = [
  'claude-code',
  'codex',
  'gemini-cli',
  'opencode',
  'cursor',
  'vscode',
  'copilot-cli',
] as const;

export type HarnessName = (typeof HARNESS_NAMES)[number];

/** One made-up call. */
export interface HookProbe {
  readonly session: string;
  readonly call: string;
  readonly directory: string;
  readonly tool: string;
}

export interface Harness {
  readonly name: HarnessName;
  /** As its makers write it. */
  readonly title: string;
  /** The event, by the harness's own name, before a tool runs: the one that can block. */
  readonly beforeTool: string;
  /** The event after a tool that ran. */
  readonly afterTool: string;
  /** Whether a reply can open the harness's own permission dialog; else an 'ask' never comes here. */
  readonly canAsk: boolean;
  /** Tools that change nothing in a workspace. A tool that is not listed may change anything. */
  readonly readOnlyTools: ReadonlySet<string>;
  /** Tools that it never runs beside another one of the same session, and whose end it may not report. */
  readonly runsAlone?: ReadonlySet<string>;
  /**
   * @param event the harness's name of the event, from the hook's own configuration; '' when unknown
   * @throws GhostsnapError BAD_ARGUMENT naming the field that is missing or wrong
   */
  parse(payload: unknown, event: string): HookAction;
  reply(event: string, outcome: HookOutcome): HookReply;
  /** A payload as this harness would send it, for trying out a connection. */
  probe(event: string, probe: HookProbe): unknown;
}
