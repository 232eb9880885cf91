/**
 * The Claude Agent SDK (`@anthropic-ai/claude-agent-sdk`): a snapshot before each tool, built in or not,
 * through its hooks.
 *
 * The hook before a tool is marked so that the SDK blocks the tool when it fails or does not answer. The
 * hooks of one event run at the same time, and the tool after all of them. A tool that is denied
 * afterwards, by a permission or another hook, has its snapshot all the same; its call ends with the
 * session.
 */
import type { BegunCall } from '../call-guard.ts';
import {
  createProtection,
  type Handle,
  type Protection,
  type ProtectOptions,
} from './protection.ts';

export type { Handle, ProtectOptions } from './protection.ts';

/** Tools of Claude Code that change nothing below the workspace. */
export const READ_ONLY_TOOLS: readonly string[] = [
  'Read',
  'Glob',
  'Grep',
  'LS',
  'WebFetch',
  'WebSearch',
  'TodoWrite',
  'ToolSearch',
  'AskUserQuestion',
];

/** Seconds that a snapshot may take before the tool is blocked. */
const SNAPSHOT_TIMEOUT_SECONDS = 600;

/** Calls whose end is waited for; past it the oldest ends as unknown. */
const CALLS_AWAITED_MAX = 4096;

interface HookInput {
  readonly hook_event_name: string;
  readonly tool_name?: string;
  readonly tool_input?: unknown;
  readonly tool_use_id?: string;
}

type Hook = (
  input: HookInput,
  toolUseId: string | undefined,
  options: { readonly signal: AbortSignal },
) => Promise<Record<string, unknown>>;

interface Matcher {
  readonly matcher?: string;
  readonly hooks: readonly Hook[];
}

type Hooks = Readonly<Record<string, readonly Matcher[] | undefined>>;

/**
 * Adds the hooks to the options of `query`; everything else in them stays.
 *
 * ```ts
 * const { options, handle } = protectOptions({ allowedTools: ['Bash'] }, { workspace });
 * for await (const message of query({ prompt, options })) console.log(message);
 * await handle.undo(toolUseId);
 * ```
 *
 * `readOnly` is by default `READ_ONLY_TOOLS`.
 */
export function protectOptions<OPTIONS extends object>(
  options: OPTIONS,
  protect: ProtectOptions,
): { readonly options: OPTIONS; readonly handle: Handle } {
  const protection = createProtection(
    { readOnly: READ_ONLY_TOOLS, ...protect },
    { harness: 'claude-agent-sdk', canAsk: 'yes' },
  );
  const calls = new Map<string, BegunCall>();
  const before: Hook = (input, id) => beginCall(protection, calls, input, id);
  const after: Hook = async (input, id) => {
    const key = input.tool_use_id ?? id ?? '';
    const begun = calls.get(key);
    calls.delete(key);
    const { hook_event_name: hookEventName } = input;
    const outcome = hookEventName === 'PostToolUse' ? 'ok' : 'failed';
    const message = (await begun?.end(outcome)) ?? null;
    if (message === null) return {};
    return { hookSpecificOutput: { hookEventName, additionalContext: message } };
  };
  const given: Hooks = ('hooks' in options ? (options.hooks as Hooks | undefined) : null) ?? {};
  const hooks = {
    ...given,
    PreToolUse: [
      { hooks: [before], timeout: SNAPSHOT_TIMEOUT_SECONDS, onFailure: 'block' },
      ...(given.PreToolUse ?? []),
    ],
    PostToolUse: [{ hooks: [after] }, ...(given.PostToolUse ?? [])],
    PostToolUseFailure: [{ hooks: [after] }, ...(given.PostToolUseFailure ?? [])],
  };
  return { options: { ...options, hooks }, handle: closingAll(protection.handle, calls) };
}

async function beginCall(
  protection: Protection,
  calls: Map<string, BegunCall>,
  input: HookInput,
  id: string | undefined,
): Promise<Record<string, unknown>> {
  const key = input.tool_use_id ?? id ?? null;
  try {
    const tool = input.tool_name ?? 'unknown tool';
    const begun = await protection.begin({ tool, key, input: input.tool_input });
    if (key === null) await begun.end('unknown');
    else awaitEnd(calls, key, begun);
    return begun.question === null ? {} : decided('ask', begun.question);
  } catch (failure) {
    return decided('deny', failure instanceof Error ? failure.message : String(failure));
  }
}

function decided(permissionDecision: 'ask' | 'deny', reason: string): Record<string, unknown> {
  const hookEventName = 'PreToolUse';
  return {
    hookSpecificOutput: { hookEventName, permissionDecision, permissionDecisionReason: reason },
  };
}

function awaitEnd(calls: Map<string, BegunCall>, key: string, begun: BegunCall): void {
  // Its end tells nobody anything.
  void calls.get(key)?.end('unknown');
  calls.set(key, begun);
  const [oldest] = calls;
  if (calls.size <= CALLS_AWAITED_MAX || oldest === undefined) return;
  void oldest[1].end('unknown');
  calls.delete(oldest[0]);
}

/** Calls that were denied after their snapshot have no end of their own. */
function closingAll(handle: Handle, calls: Map<string, BegunCall>): Handle {
  const close = async (): Promise<void> => {
    await Promise.all([...calls.values()].map((call) => call.end('unknown')));
    calls.clear();
    await handle.close();
  };
  return { ...handle, close, [Symbol.asyncDispose]: close };
}
