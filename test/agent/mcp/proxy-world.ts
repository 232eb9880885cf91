/** A proxy between two ends in memory, with a guard that writes down what it is asked. */
import { Writable } from 'node:stream';
import type { CallGuard, GuardedCall } from '../../../src/agent/call-guard.ts';
import { McpProxy, type ProxyOptions } from '../../../src/agent/mcp/proxy.ts';

export interface ProxyWorld {
  /** What the client got, the server got. */
  readonly toClient: Buffer;
  readonly toServer: Buffer;
  /** Calls in the order of their snapshots, and what had been sent to the server before each. */
  readonly begun: readonly (GuardedCall & { readonly sentBytes: number })[];
  readonly ended: readonly string[];
}

export interface WorldOptions
  extends Partial<Pick<ProxyOptions, 'trace' | 'traceParent' | 'readOnlyHint'>> {
  readonly fromClient: readonly Buffer[];
  /** What the server says, all of it before the client speaks when `serverFirst`. */
  readonly fromServer?: readonly Buffer[];
  readonly order?: 'server-first' | 'client-first';
  readonly fail?: (call: GuardedCall) => unknown;
  readonly messageBytesMax?: number;
  /** What the policy says of a call that ended. */
  readonly say?: (call: GuardedCall) => string | null;
}

export async function runWorld(options: WorldOptions): Promise<ProxyWorld> {
  const toClient: Buffer[] = [];
  const toServer: Buffer[] = [];
  const begun: (GuardedCall & { sentBytes: number })[] = [];
  const ended: string[] = [];
  const clientDone = Promise.withResolvers<void>();
  const serverDone = Promise.withResolvers<void>();
  const isServerFirst = options.order === 'server-first';
  const guard: CallGuard = {
    begin: async (call) => {
      begun.push({ ...call, sentBytes: Buffer.concat(toServer).length });
      await Promise.resolve();
      const failure = options.fail?.(call);
      if (failure !== undefined && failure !== null) throw failure;
      return {
        question: null,
        end: async (outcome) => {
          ended.push(`${call.key} ${outcome}`);
          return options.say?.(call) ?? null;
        },
      };
    },
  };
  async function* fromClient(): AsyncGenerator<Buffer> {
    if (isServerFirst) await serverDone.promise;
    yield* options.fromClient;
  }
  async function* fromServer(): AsyncGenerator<Buffer> {
    if (!isServerFirst) await clientDone.promise;
    yield* options.fromServer ?? [];
    serverDone.resolve();
    await clientDone.promise;
  }
  const proxy = new McpProxy({
    client: {
      input: fromClient(),
      output: new Writable({
        write: (chunk: Buffer, _, done) => {
          toClient.push(chunk);
          done();
        },
      }),
    },
    upstream: {
      send: async (bytes) => {
        toServer.push(bytes);
      },
      end: () => clientDone.resolve(),
      output: fromServer(),
    },
    guard,
    readOnlyHint: options.readOnlyHint ?? 'trust',
    trace: options.trace ?? 'off',
    traceParent: options.traceParent ?? null,
    ...(options.messageBytesMax === undefined ? {} : { messageBytesMax: options.messageBytesMax }),
  });
  await proxy.run();
  return { toClient: Buffer.concat(toClient), toServer: Buffer.concat(toServer), begun, ended };
}

/** Messages as one line each. */
export function lines(...messages: readonly unknown[]): Buffer {
  return Buffer.from(
    messages.map((one) => `${typeof one === 'string' ? one : JSON.stringify(one)}\n`).join(''),
  );
}
