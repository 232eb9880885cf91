/**
 * Tools of the Vercel AI SDK (`ai`), each preceded by a snapshot.
 *
 * A tool without `execute` (run by the client or by the provider) is left as it is: nothing of it runs
 * here. A tool whose `execute` is an asynchronous generator stays one, so that its preliminary results
 * arrive as before.
 */
import {
  createProtection,
  endedWith,
  type Handle,
  type Protection,
  type ProtectOptions,
  withReplaced,
} from './protection.ts';

export type { Handle, ProtectOptions } from './protection.ts';

/** What is read of the SDK's options of an execution. */
interface ExecutionOptions {
  readonly toolCallId?: string;
}

type Execute = (input: unknown, options: ExecutionOptions) => unknown;

/**
 * Wraps a set of tools. The set, its names and its types stay the same.
 *
 * ```ts
 * await using workspace = await openWorkspace({ watch: 'on' });
 * const { tools, handle } = protectTools({ bash, edit, read }, { workspace, readOnly: ['read'] });
 * await generateText({ model, tools, prompt });
 * await handle.undo(toolCallId);
 * ```
 */
export function protectTools<TOOLS extends Record<string, object>>(
  tools: TOOLS,
  options: ProtectOptions,
): { readonly tools: TOOLS; readonly handle: Handle } {
  const protection = createProtection(options, { harness: 'ai-sdk', canAsk: 'no' });
  const wrapped = Object.entries(tools).map(([name, tool]) => [name, wrap(name, tool, protection)]);
  return { tools: Object.fromEntries(wrapped) as TOOLS, handle: protection.handle };
}

function wrap(name: string, tool: object, protection: Protection): object {
  const execute: unknown = Reflect.get(tool, 'execute');
  if (typeof execute !== 'function') return tool;
  const call: Execute = (input, options) => Reflect.apply(execute, tool, [input, options]);
  const isGenerator = execute.constructor.name === 'AsyncGeneratorFunction';
  const replaced = isGenerator
    ? generating(name, call, protection)
    : resolving(name, call, protection);
  return withReplaced(tool, { execute: replaced });
}

function resolving(name: string, call: Execute, protection: Protection): Execute {
  return (input, options) =>
    protection.run({ tool: name, key: options.toolCallId ?? null, input }, () =>
      lastOf(call(input, options)),
    );
}

function generating(name: string, call: Execute, protection: Protection): Execute {
  return async function* (input, options) {
    const begun = await protection.begin({ tool: name, key: options.toolCallId ?? null, input });
    const values = call(input, options) as AsyncIterable<unknown>;
    yield* endedWith({ protection, begun, last: 'yielded' }, values);
  };
}

// A plain function may give an iterable as well. By then the SDK has been promised a value, and the last
// one is what it would take as the result.
async function lastOf(result: unknown): Promise<unknown> {
  const value = await result;
  if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return value;
  let last: unknown;
  for await (const one of value as AsyncIterable<unknown>) last = one;
  return last;
}
