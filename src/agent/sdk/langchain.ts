/**
 * Tools of LangChain (`@langchain/core`), each preceded by a snapshot.
 *
 * A wrapped tool is the tool itself in everything but the step that runs it, after its input was parsed:
 * schemas, callbacks, artifacts and messages stay LangChain's. Anything that is no structured tool is
 * left as it is.
 */
import type { BegunCall } from '../call-guard.ts';
import {
  createProtection,
  endedWith,
  type Handle,
  type Protection,
  type ProtectOptions,
} from './protection.ts';

export type { Handle, ProtectOptions } from './protection.ts';

type Run = (input: unknown, runManager?: unknown, config?: RunConfig) => unknown;

interface RunConfig {
  readonly toolCall?: { readonly id?: string };
}

/**
 * Wraps a list of tools; their types stay the same.
 *
 * ```ts
 * const { tools, handle } = protectTools([bash, edit], { workspace });
 * const agent = createAgent({ model, tools });
 * await handle.undo(toolCallId);
 * ```
 */
export function protectTools<const TOOLS extends readonly object[]>(
  tools: TOOLS,
  options: ProtectOptions,
): { readonly tools: { -readonly [K in keyof TOOLS]: TOOLS[K] }; readonly handle: Handle } {
  const protection = createProtection(options, { harness: 'langchain', canAsk: 'no' });
  const wrapped = tools.map((tool) => wrap(tool, protection));
  return {
    tools: wrapped as { -readonly [K in keyof TOOLS]: TOOLS[K] },
    handle: protection.handle,
  };
}

function wrap(tool: object, protection: Protection): object {
  const run: unknown = Reflect.get(tool, '_call');
  const name: unknown = Reflect.get(tool, 'name');
  if (typeof run !== 'function' || typeof name !== 'string') return tool;
  const protectedRun: Run = async (input, runManager, config) => {
    const begun = await protection.begin({ tool: name, key: config?.toolCall?.id ?? null, input });
    const work = (): unknown => Reflect.apply(run, tool, [input, runManager, config]);
    return await finish(protection, begun, { work, isPair: hasArtifact(tool) });
  };
  // Made from the tool, so that it is an instance of the same classes and follows later changes of it.
  return Object.create(tool, {
    _call: { value: protectedRun, writable: true, configurable: true },
  });
}

async function finish(
  protection: Protection,
  begun: BegunCall,
  { work, isPair }: { readonly work: () => unknown; readonly isPair: boolean },
): Promise<unknown> {
  let result: unknown;
  try {
    result = await work();
  } catch (error) {
    throw await protection.fail(begun, error);
  }
  // A tool that reports events: it ends when its generator does.
  if (isAsyncGenerator(result)) return endedWith({ protection, begun, last: 'returned' }, result);
  if (!isPair || !Array.isArray(result)) return await protection.finish(begun, result);
  const [content, ...rest] = result as readonly unknown[];
  return [await protection.finish(begun, content), ...rest];
}

/** Its result is what the model reads, and what only the program does. */
function hasArtifact(tool: object): boolean {
  return Reflect.get(tool, 'responseFormat') === 'content_and_artifact';
}

function isAsyncGenerator(value: unknown): value is AsyncGenerator<unknown, unknown> {
  return (
    typeof value === 'object' && value !== null && Symbol.asyncIterator in value && 'next' in value
  );
}
