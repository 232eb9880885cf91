/**
 * A real harness in a home of its own, without any other network, connected by the program itself.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HookWorld } from '../daemon/hook-world.ts';

const INSTALLER = fileURLToPath(new URL('../../scripts/install-harnesses.sh', import.meta.url));

/**
 * The folder that holds installed harnesses.
 * @param which 'claude': the Claude Agent SDK with its Claude Code; 'cli': Gemini CLI and OpenCode
 */
export function installedHarnesses(which: 'cli' | 'claude' | 'codex' | 'copilot' = 'cli'): string {
  return execFileSync(INSTALLER, [which], { encoding: 'utf8' }).trim();
}

/** Writes a file below the person's home. */
export function writeHomeFile(world: HookWorld, path: string, content: unknown): void {
  const file = join(world.environment.homeDir, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(content));
}

export interface HarnessRun {
  readonly status: number | null;
  readonly output: string;
}

/** Runs it to its end in the workspace; proxies of the machine are taken away from it. */
export function runHarness(
  world: HookWorld,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<HarnessRun> {
  const { promise, resolve, reject } = Promise.withResolvers<HarnessRun>();
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: world.path,
    env: {
      ...world.environment.env,
      // Some take the project from here and not from where they are.
      PWD: world.path,
      NO_PROXY: '127.0.0.1',
      no_proxy: '127.0.0.1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  child.once('error', reject);
  child.once('close', (status) => resolve({ status, output }));
  return promise;
}
