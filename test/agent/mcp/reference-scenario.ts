/** Everything the reference server offers, asked for by the official client; what came back. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  EmptyResultSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';

export const EVERYTHING = new URL(
  import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'),
).pathname;

export interface Transcript {
  readonly serverName: string | undefined;
  readonly results: readonly (readonly [string, unknown])[];
  /** What the server asked of the client, by method, and what it notified. */
  readonly asked: readonly string[];
}

const CALLS: readonly (readonly [string, Record<string, unknown>])[] = [
  ['echo', { message: 'h\u00e9llo \u{1f47b} \u2028' }],
  ['get-sum', { a: 2 ** 53, b: 1 }],
  ['get-annotated-message', { messageType: 'error', includeImage: true }],
  ['get-tiny-image', {}],
  ['get-structured-content', { location: 'New York' }],
  ['get-resource-links', { count: 3 }],
  ['trigger-sampling-request', { prompt: 'p', maxTokens: 5 }],
  ['trigger-elicitation-request', {}],
  ['get-roots-list', {}],
  ['no-such-tool', {}],
  ['echo', { wrong: 1 }],
];

/** `transport` is not started yet; it is closed at the end. */
export async function runReferenceScenario(transport: Transport): Promise<Transcript> {
  const asked: string[] = [];
  const client = new Client(
    { name: 'reference', version: '1.0.0' },
    { capabilities: { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } } },
  );
  client.setRequestHandler(CreateMessageRequestSchema, () => {
    asked.push('sampling');
    return { model: 'm', role: 'assistant', content: { type: 'text', text: 'sampled' } };
  });
  client.setRequestHandler(ElicitRequestSchema, () => {
    asked.push('elicitation');
    return { action: 'decline' };
  });
  client.setRequestHandler(ListRootsRequestSchema, () => ({
    roots: [{ uri: 'file:///tmp/root', name: 'root' }],
  }));
  const results: [string, unknown][] = [];
  const record = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    results.push([name, await work().catch((error: unknown) => String(error))]);
  };
  await client.connect(transport);
  try {
    await record('tools', () => client.listTools());
    for (const [name, given] of CALLS) {
      await record(name, () => client.callTool({ name, arguments: given }));
    }
    await record('long', () => callLong(client, asked));
    await record('cancelled', () => callCancelled(client));
    const parallel = [1, 2, 3, 4].map((b) =>
      client.callTool({ name: 'get-sum', arguments: { a: 0, b } }),
    );
    await record('parallel', () => Promise.all(parallel));
    await record('prompts', () => client.listPrompts());
    await record('prompt', () =>
      client.getPrompt({ name: 'args-prompt', arguments: { city: 'X' } }),
    );
    await record('templates', () => client.listResourceTemplates());
    await record('level', () => client.setLoggingLevel('debug'));
    await record('unknown', () => client.request({ method: 'no/such' }, EmptyResultSchema));
    await record('ping', () => client.ping());
    return { serverName: client.getServerVersion()?.name, results, asked };
  } finally {
    await client.close();
  }
}

async function callLong(client: Client, asked: string[]): Promise<unknown> {
  const given = { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 3 } };
  return await client.callTool(given, undefined, {
    // The client drops the last one when the answer comes right behind it, whoever is in between.
    onprogress: ({ progress, total }) => {
      if (progress !== total) asked.push(`progress ${progress}/${total}`);
    },
  });
}

async function callCancelled(client: Client): Promise<unknown> {
  const controller = new AbortController();
  const given = { name: 'trigger-long-running-operation', arguments: { duration: 60, steps: 60 } };
  const call = client.callTool(given, undefined, {
    signal: controller.signal,
    onprogress: () => controller.abort('enough'),
  });
  return await call;
}
