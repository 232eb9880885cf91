/**
 * A workspace in a store, a home of its own, and the built program's hooks and daemon around it.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { daemonPlace } from '../../src/daemon/daemon-place.ts';
import { type Environment, resolveHome } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';

export const PROGRAM = fileURLToPath(new URL('../../bin/ghostsnap.js', import.meta.url));

export interface ProgramResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HookWorld extends AsyncDisposable {
  readonly base: string;
  readonly path: string;
  readonly environment: Environment;
  readonly socket: string;
  program(
    args: readonly string[],
    options?: { stdin?: string; uid?: number; env?: NodeJS.ProcessEnv },
  ): Promise<ProgramResult>;
  /** A payload of Claude Code's through the program. */
  hook(event: string, fields?: Record<string, unknown>): Promise<ProgramResult>;
  /** The same, straight to the daemon's socket. */
  ask(event: string, fields?: Record<string, unknown>): Promise<string>;
  payload(event: string, fields?: Record<string, unknown>): string;
  read<T>(look: (workspace: Workspace) => T): Promise<T>;
  daemonPid(): Promise<number | null>;
}

export async function makeHookWorld(
  options: {
    readonly config?: unknown;
    readonly pool?: (base: string) => string;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<HookWorld> {
  const base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-hook-'));
  const path = join(base, 'project');
  const home = join(base, 'home');
  mkdirSync(join(path, 'src'), { recursive: true });
  mkdirSync(home, { recursive: true });
  writeFileSync(join(path, 'src', 'main.ts'), 'one\n');
  if (options.config !== undefined) {
    writeFileSync(join(home, 'config.json'), JSON.stringify(options.config));
  }
  const { XDG_RUNTIME_DIR: _runtime, ...rest } = process.env;
  const env = { ...rest, HOME: join(base, 'user'), GHOSTSNAP_HOME: home, ...options.env };
  const environment: Environment = {
    ...{ env, cwd: path, homeDir: join(base, 'user'), uid: process.getuid?.() ?? 0 },
  };
  const pool = options.pool?.(base);
  await initWorkspace({
    ...{ path, backend: 'store', environment },
    ...(pool === undefined ? {} : { pool }),
  });
  const { socket } = daemonPlace(resolveHome(environment), environment);
  const program: HookWorld['program'] = (args, given = {}) =>
    runProgram(args, { env, ...given, cwd: path });
  const payload = (event: string, fields: Record<string, unknown> = {}): string =>
    JSON.stringify({
      ...{ session_id: 's1', cwd: path, hook_event_name: event, tool_name: 'Bash' },
      ...{ tool_input: { command: 'make clean' }, tool_use_id: 'toolu_1', ...fields },
    });
  return {
    ...{ base, path, environment, socket, program, payload },
    hook: (event, fields) =>
      program(['hook', 'run', 'claude-code', event], { stdin: payload(event, fields) }),
    ask: (event, fields) =>
      post({ socketPath: socket }, `/hook/claude-code/${event}`, payload(event, fields)),
    read: async (look) => {
      await using workspace = await openWorkspace({ environment, readOnly: 'yes' });
      return look(workspace);
    },
    daemonPid: async () => {
      const { stdout } = await program(['daemon', 'status', '--json']);
      return (JSON.parse(stdout) as { pid?: number }).pid ?? null;
    },
    [Symbol.asyncDispose]: async () => {
      await program(['daemon', 'stop']);
      rmSync(base, { recursive: true, force: true });
    },
  };
}

function runProgram(
  args: readonly string[],
  options: {
    readonly stdin?: string;
    readonly uid?: number;
    readonly env: NodeJS.ProcessEnv;
    readonly cwd: string;
  },
): Promise<ProgramResult> {
  const { promise, resolve, reject } = Promise.withResolvers<ProgramResult>();
  const { env, cwd, uid } = options;
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    ...{ cwd, env, stdio: ['pipe', 'pipe', 'pipe'] },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.once('error', reject);
  child.once('close', (status) => resolve({ status, stdout, stderr }));
  child.stdin?.end(options.stdin ?? '');
  return promise;
}

/** @returns the body; an answer that is no success is an error with its status */
export function post(
  at: { readonly socketPath: string } | { readonly port: number },
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = http.request(
    { ...at, host: '127.0.0.1', method: 'POST', path, headers, agent: false },
    (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`status ${response.statusCode}: ${text}`));
      });
    },
  );
  request.once('error', reject);
  request.end(body);
  return promise;
}
