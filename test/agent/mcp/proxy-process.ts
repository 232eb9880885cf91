/** `ghostsnap mcp-proxy` as an MCP client starts it: a process with pipes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CliWorkspace } from '../../cli/cli-workspace.ts';

export const START = fileURLToPath(new URL('../../cli/start-from-source.ts', import.meta.url));
export const SCRIPT_SERVER = fileURLToPath(new URL('./start-script-server.ts', import.meta.url));

export interface ProxyProcess extends AsyncDisposable {
  readonly child: ChildProcess & { readonly pid: number };
  /** Everything the server got is in this file. */
  readonly record: string;
  send(text: string | Buffer): void;
  /** The next line on standard output, without its newline; null at the end. */
  line(): Promise<string | null>;
  stderr(): string;
  /** What was said after the lines that were asked for, and how it ended. */
  ended(): Promise<{ status: number | null; signal: NodeJS.Signals | null; rest: string }>;
}

export interface ProxyProcessOptions {
  readonly server?: readonly string[];
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Of an initialised project, whose base takes the record. */
  readonly workspace: CliWorkspace;
}

export async function startProxy(options: ProxyProcessOptions): Promise<ProxyProcess> {
  const { workspace } = options;
  const record = join(workspace.base, `record-${randomUUID()}`);
  const server = options.server ?? [process.execPath, SCRIPT_SERVER, record];
  const args = ['-w', workspace.path, 'mcp-proxy', ...(options.flags ?? ['--no-trace'])];
  const child = spawn(
    process.execPath,
    [START, ...args, ...(server.length > 0 ? ['--', ...server] : [])],
    {
      cwd: workspace.path,
      env: {
        ...process.env,
        GHOSTSNAP_HOME: join(workspace.base, 'home'),
        NO_COLOR: '1',
        TRACEPARENT: undefined,
        GHOSTSNAP_SESSION: undefined,
        ...options.env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A server that is gone makes writing to the proxy fail; its end is what tests look at.
  child.stdin.on('error', () => stderr.length);
  const closed = once(child, 'close');
  const reader = lineReader(child.stdout);
  return {
    record,
    child: Object.assign(child, { pid: child.pid ?? 0 }),
    send: (text) => child.stdin.write(text),
    line: reader.line,
    stderr: () => stderr,
    ended: async () => {
      child.stdin.end();
      const rest = await reader.rest();
      const [status, signal] = (await closed) as [number | null, NodeJS.Signals | null];
      return { status, signal, rest };
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      child.stdout.destroy();
      await closed;
    },
  };
}

function lineReader(stream: AsyncIterable<Buffer>): {
  line(): Promise<string | null>;
  rest(): Promise<string>;
} {
  const iterator = stream[Symbol.asyncIterator]();
  let held = Buffer.alloc(0);
  let isOver = false;
  const more = async (): Promise<void> => {
    const { value, done } = await iterator.next();
    if (done === true) isOver = true;
    else held = Buffer.concat([held, value]);
  };
  return {
    line: async () => {
      while (!held.includes(0x0a) && !isOver) await more();
      const end = held.indexOf(0x0a);
      if (end < 0) return null;
      const text = held.toString('utf8', 0, end);
      held = held.subarray(end + 1);
      return text;
    },
    rest: async () => {
      while (!isOver) await more();
      return held.toString('utf8');
    },
  };
}

export function callText(id: number | string, name: string, input: unknown = {}): string {
  const params = { name, arguments: input };
  return `${JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params })}\n`;
}
