/** `ghostsnap mcp`: an MCP server, so that an agent can look, take snapshots and go back by itself. */
import { once } from 'node:events';
import { type Command, InvalidArgumentError } from 'commander';
import type { McpServerOptions } from '../../agent/mcp/mcp-server.ts';
import {
  type CliContext,
  type CommandModule,
  type WorkspaceOptions,
  workspaceOption,
} from '../cli-context.ts';
import { packageVersion } from '../program.ts';

interface Options extends WorkspaceOptions {
  readonly http?: number | true;
}

const EXAMPLES = `
An agent may look and take snapshots by itself. Rolling back, restoring and
undoing ask a person through the client; where the client cannot ask, they are
refused. "mcp.tools" in the configuration changes that, a tool at a time.

Over HTTP it listens on 127.0.0.1, and a client has to send the token that is in
the file named at the start, as "Authorization: Bearer TOKEN".

Examples:
  $ ghostsnap mcp
  $ claude mcp add ghostsnap -- ghostsnap -w ~/project mcp
  $ ghostsnap mcp --http 7077`;

export const command: CommandModule = {
  register(program, context) {
    workspaceOption(program)
      .option(
        '--http [port]',
        'serve streamable HTTP on loopback; any free port by default',
        parsePort,
      )
      .addHelpText('after', EXAMPLES)
      .action((_: Options, self: Command) => mcp(context, self.optsWithGlobals<Options>()));
  },
};

async function mcp(context: CliContext, options: Options): Promise<void> {
  const { openWorkspace, loadMcpPolicy } = await context.composition();
  const { environment } = context;
  const policy = await loadMcpPolicy({ environment });
  const workspace = await openWorkspace({
    environment,
    watch: 'on',
    ...(options.workspace === undefined ? {} : { workspace: options.workspace }),
  });
  try {
    const parts = { workspace, policy, version: packageVersion() };
    if (options.http === undefined) await serveStdio(parts);
    else await serveHttp(context, parts, options.http === true ? 0 : options.http);
  } finally {
    // Waits for what is still under way: it was told to stop when its connection went.
    await workspace.close();
  }
}

async function serveStdio(parts: McpServerOptions): Promise<void> {
  const { createMcpServer } = await import('../../agent/mcp/mcp-server.ts');
  const { StdioServerTransport } = await import('@modelcontextprotocol/sdk/server/stdio.js');
  const server = createMcpServer(parts);
  const ended = Promise.race([once(process.stdin, 'end'), stopSignal()]);
  await server.connect(new StdioServerTransport());
  await ended;
  await server.close();
}

async function serveHttp(
  context: CliContext,
  parts: McpServerOptions,
  port: number,
): Promise<void> {
  const { createMcpServer } = await import('../../agent/mcp/mcp-server.ts');
  const { listenMcp } = await import('../../agent/mcp/mcp-http.ts');
  const { loadMcpToken } = await context.composition();
  const { token, file } = await loadMcpToken({ environment: context.environment });
  const createServer = (): ReturnType<typeof createMcpServer> => createMcpServer(parts);
  const listener = await listenMcp({ port, token, createServer });
  context.output.note(`Listening on ${listener.url}; the token is in ${file}`);
  await stopSignal();
  await listener[Symbol.asyncDispose]();
}

function stopSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => resolve());
  return promise;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError('Give a port from 0 to 65535.');
}
