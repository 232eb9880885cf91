/**
 * Tools of the OpenAI Agents SDK (`@openai/agents`), each preceded by a snapshot.
 *
 * Function tools, local shells and local patch editors run here and are wrapped. Hosted tools run
 * elsewhere, and a computer tool acts on a screen: they are left as they are.
 */
import {
  createProtection,
  type Handle,
  type Protection,
  type ProtectOptions,
  withReplaced,
} from './protection.ts';

export type { Handle, ProtectOptions } from './protection.ts';

/** What is read of a tool; the rest is carried along. */
interface AgentTool {
  readonly type: string;
  readonly name: string;
}

type Invoke = (context: unknown, input: string, details?: InvokeDetails) => Promise<unknown>;

interface InvokeDetails {
  readonly toolCall?: { readonly callId?: string };
}

/** Methods of a patch editor. */
const EDITS = ['createFile', 'updateFile', 'deleteFile'] as const;

/**
 * Wraps a list of tools; their types stay the same.
 *
 * ```ts
 * const { tools, handle } = protectTools([bash, edit], { workspace });
 * await run(new Agent({ name: 'coder', tools }), prompt);
 * await handle.undo(callId);
 * ```
 */
export function protectTools<const TOOLS extends readonly AgentTool[]>(
  tools: TOOLS,
  options: ProtectOptions,
): { readonly tools: { -readonly [K in keyof TOOLS]: TOOLS[K] }; readonly handle: Handle } {
  const protection = createProtection(options, { harness: 'openai-agents', canAsk: 'no' });
  const wrapped = tools.map((tool) => wrap(tool, protection));
  return {
    tools: wrapped as { -readonly [K in keyof TOOLS]: TOOLS[K] },
    handle: protection.handle,
  };
}

function wrap(tool: AgentTool, protection: Protection): AgentTool {
  if (tool.type === 'function' && 'invoke' in tool) {
    return withReplaced(tool, { invoke: invoking(tool, tool.invoke as Invoke, protection) });
  }
  if (tool.type === 'shell' && 'shell' in tool && isObject(tool.shell)) {
    const shell = protectMethods(tool.name, tool.shell, ['run'], protection);
    return withReplaced(tool, { shell });
  }
  if (tool.type === 'apply_patch' && 'editor' in tool && isObject(tool.editor)) {
    return withReplaced(tool, {
      editor: protectMethods(tool.name, tool.editor, EDITS, protection),
    });
  }
  return tool;
}

function invoking(tool: AgentTool, invoke: Invoke, protection: Protection): Invoke {
  return async (context, input, details) => {
    const key = details?.toolCall?.callId ?? null;
    let begun: Awaited<ReturnType<Protection['begin']>>;
    try {
      begun = await protection.begin({ tool: tool.name, key, input: parsed(input) });
    } catch (failure) {
      return await tellModel(tool, failure, [context, details]);
    }
    let result: unknown;
    try {
      result = await Reflect.apply(invoke, tool, [context, input, details]);
    } catch (error) {
      throw await protection.fail(begun, error);
    }
    return await protection.finish(begun, result);
  };
}

/**
 * What the SDK itself does with a tool that threw: the tool's own words for the model; the run fails
 * where the tool wants that (null) or promises results of a shape; else the message is the result.
 */
async function tellModel(
  tool: AgentTool,
  failure: unknown,
  [context, details]: readonly [unknown, InvokeDetails | undefined],
): Promise<unknown> {
  const tell: unknown = Reflect.get(tool, 'errorFunction');
  if (typeof tell === 'function')
    return await Reflect.apply(tell, tool, [context, failure, details]);
  if (tell === null || Reflect.get(tool, 'outputSchema') !== undefined) throw failure;
  return failure instanceof Error ? failure.message : String(failure);
}

/** A shell or an editor gets no id of the call: it is undone by its snapshot. */
function protectMethods(
  tool: string,
  target: object,
  names: readonly string[],
  protection: Protection,
): object {
  const replaced = names.flatMap((name) => {
    const method: unknown = Reflect.get(target, name);
    if (typeof method !== 'function') return [];
    const call = (...given: readonly unknown[]): Promise<unknown> =>
      protection.run({ tool, key: null, input: given[0] }, () =>
        Reflect.apply(method, target, given),
      );
    return [[name, call] as const];
  });
  return withReplaced(target, Object.fromEntries(replaced));
}

function parsed(input: string): unknown {
  try {
    return JSON.parse(input);
  } catch {
    // The tool will say that it is no JSON; the log shows what came.
    return input;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
