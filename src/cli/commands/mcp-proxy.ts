/** `ghostsnap mcp-proxy -- CMD...`: an MCP server with a snapshot before each of its tools. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { type Command, InvalidArgumentError } from 'commander';
import type { CallGuard } from '../../agent/call-guard.ts';
import type { McpPolicy } from '../../agent/mcp/mcp-policy.ts';
import type { ProxyOptions } from '../../agent/mcp/proxy.ts';
import type { WorkspaceGuard } from '../../agent/workspace-guard.ts';
import { GhostsnapError } from '../../core/errors.ts';
import type { Workspace } from '../../engine/workspace-api.ts';
import {
  type CliContext,
  type CommandModule,
  type WorkspaceOptions,
  workspaceOption,
} from '../cli-context.ts';
import { exitStatusOf, passSignals } from '../run-child.ts';

interface Options extends WorkspaceOptions {
  readonly url?: URL;
  readonly header?: readonly string[];
  readonly session?: string;
  readonly trace: boolean;
}

const EXAMPLES = `
Everything passes unchanged in both directions; a call of a tool waits for its
snapshot. When that fails the call is answered with the reason and the tool is
not run. Tools that the server declares read-only take none.

Put it before the command in the configuration of an MCP client:
  {"mcpServers": {"files": {"command": "ghostsnap",
    "args": ["-w", "/home/me/project", "mcp-proxy", "--", "npx", "my-server"]}}}

Examples:
  $ ghostsnap mcp-proxy -- npx -y @modelcontextprotocol/server-filesystem .
  $ ghostsnap mcp-proxy --url https://example.com/mcp \\
      --header 'Authorization: Bearer \${TOKEN}'`;

// Not a template: the braces are what a person types.
const HEADER_HELP = `send this header to it; \${NAME} is taken from the environment`;

export const command: CommandModule = {
  register(program, context) {
    workspaceOption(program)
      .usage('[options] -- command [argument...]')
      .argument('[command...]', 'how to start the server')
      .passThroughOptions()
      .option('--url <url>', 'speak to a server over streamable HTTP instead', parseUrl)
      .option('--header <line>', HEADER_HELP, append)
      .option('--session <id>', 'say which session of an agent this belongs to')
      .option('--no-trace', 'leave calls without trace context as they are')
      .addHelpText('after', EXAMPLES)
      .action((words: string[], _: Options, self: Command) =>
        proxy(context, words, self.optsWithGlobals<Options>()),
      );
  },
};

async function proxy(
  context: CliContext,
  words: readonly string[],
  options: Options,
): Promise<void> {
  if (words.length > 0 === (options.url !== undefined)) {
    throw new GhostsnapError('BAD_ARGUMENT', 'Give the command of a server, or --url.', {
      hint: 'See "ghostsnap mcp-proxy --help".',
    });
  }
  const { openWorkspace, loadMcpPolicy } = await context.composition();
  const { environment } = context;
  const policy = await loadMcpPolicy({ environment });
  // Before the server is started: a client must not get a server whose calls would all be refused
  // because this is no workspace.
  const workspace = await openWorkspace({
    environment,
    watch: 'on',
    ...(options.workspace === undefined ? {} : { workspace: options.workspace }),
  });
  try {
    const guard = await makeGuard(context, options, { policy, workspace });
    const setting = await proxySetting(context, options, { policy, guard });
    const { url } = options;
    if (url === undefined) await proxyToChild(context, words, setting);
    else await proxyToUrl(context, { ...options, url }, setting);
    await guard.close();
  } finally {
    await workspace.close();
  }
}

type Setting = Omit<ProxyOptions, 'upstream'>;

async function makeGuard(
  context: CliContext,
  options: Options,
  parts: { readonly policy: McpPolicy; readonly workspace: Workspace },
): Promise<WorkspaceGuard> {
  const { WorkspaceGuard } = await import('../../agent/workspace-guard.ts');
  const { env } = context.environment;
  return new WorkspaceGuard({
    workspace: parts.workspace,
    session: options.session ?? (env.GHOSTSNAP_SESSION || `mcp-${randomUUID()}`),
    harness: 'mcp',
    onSnapshotFailure: parts.policy.onSnapshotFailure,
    onProblem: (problem) => context.output.warn(problem),
  });
}

async function proxySetting(
  context: CliContext,
  options: Options,
  parts: { readonly policy: McpPolicy; readonly guard: CallGuard },
): Promise<Setting> {
  const { parseTraceVariables } = await import('../../core/trace-context.ts');
  return {
    client: { input: process.stdin, output: process.stdout },
    guard: parts.guard,
    readOnlyHint: parts.policy.readOnlyHint,
    trace: options.trace ? 'on' : 'off',
    traceParent: parseTraceVariables(context.environment.env),
  };
}

async function proxyToChild(
  context: CliContext,
  words: readonly string[],
  setting: Setting,
): Promise<void> {
  const { childUpstream } = await import('../../agent/mcp/child-upstream.ts');
  const { McpProxy } = await import('../../agent/mcp/proxy.ts');
  const [file = '', ...args] = words;
  const start = (): ChildProcessByStdio<Writable, Readable, null> =>
    spawn(file, args, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...context.environment.env },
    });
  const signals = passSignals(start);
  const { child } = signals;
  try {
    const status = exitStatusOf(child, file);
    const passed = new McpProxy({ ...setting, upstream: childUpstream(child) }).run();
    [context.exitCode] = await Promise.all([status, passed]);
  } finally {
    signals[Symbol.dispose]();
  }
  if (context.exitCode === 127) context.output.warn(`${file} was not found.`);
  if (context.exitCode === 126) context.output.warn(`${file} could not be executed.`);
}

async function proxyToUrl(
  context: CliContext,
  options: { readonly url: URL; readonly header?: readonly string[] },
  setting: Setting,
): Promise<void> {
  const { HttpUpstream } = await import('../../agent/mcp/http-upstream.ts');
  const { McpProxy } = await import('../../agent/mcp/proxy.ts');
  const upstream = new HttpUpstream({
    url: options.url,
    headers: parseHeaders(options.header ?? [], context.environment.env),
    onProblem: (problem) => context.output.warn(problem),
  });
  const stop = (): void => upstream.end();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);
  await new McpProxy({ ...setting, upstream }).run();
}

/** `Name: value` each; `${NAME}` in a value is taken from the environment, so that no secret is typed. */
function parseHeaders(
  lines: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name, value = ''] = /^([\w!#$%&'*+.^`|~-]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined) {
      throw new GhostsnapError('BAD_ARGUMENT', `${JSON.stringify(line)} is not a header.`, {
        hint: "Write it as 'Name: value'.",
      });
    }
    headers[name.toLowerCase()] = value.replace(/\$\{(\w+)\}/g, (_, variable: string) => {
      const found = env[variable];
      if (found !== undefined) return found;
      throw new GhostsnapError('BAD_ARGUMENT', `The variable ${variable} is not set.`, {
        hint: `The header ${name} takes its value from it.`,
      });
    });
  }
  return headers;
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new InvalidArgumentError('Give an http or https URL.');
}

function append(line: string, lines: readonly string[] = []): readonly string[] {
  return [...lines, line];
}
