/** The log as a story, on a real workspace, through the real program. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { type Protected, protect } from '../never/protected-workspace.ts';

const SESSION = { session: 's1', harness: 'claude-code' };

let one: Protected;
let workspace: Workspace;

beforeAll(async () => {
  one = await protect({ kind: 'store', before: 'echo a > a; echo b > b' });
  workspace = await one.open();
  await workspace.snapshot({ label: 'by hand' });
  await workspace.submitPrompt({ ...SESSION, text: 'clean up\u001b[31m' });
  await call('first', 'rm a; echo x > x; echo c >> b');
  one.sh('echo stray > stray');
  const input = { file_path: join(one.path, 'deep/b') };
  const second = await workspace.beginCall({
    ...{ ...SESSION, tool: 'Read', key: 'r', readOnly: 'yes', input },
  });
  await workspace.endCall({ call: second.call, outcome: 'failed' });
  const third = await call('third', 'true');
  await workspace.findUnattributed(third as never);
  await workspace.undo();
});

afterAll(async () => {
  await workspace.close();
  await one[Symbol.asyncDispose]();
});

async function call(key: string, script: string): Promise<string> {
  const input = { command: `${script} #\n${key}\u001b[2J` };
  const begun = await workspace.beginCall({ ...SESSION, tool: 'Bash', key, input });
  one.sh(script);
  await workspace.endCall({ call: begun.call, outcome: 'ok' });
  await workspace.measureCall(begun.call);
  return begun.call;
}

describe('ghostsnap log where agents work', () => {
  it('tells sessions, prompts, calls with their counts, and what happened between', () => {
    const { status, stdout } = one.cli(['log']);
    expect(status).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    const at = (text: string): number => lines.findIndex((line) => line.includes(text));
    expect(at('undo to')).toBe(0);
    expect(lines[1]).toBe('session s1  claude-code');
    expect(lines[2]).toMatch(/^ {2}> clean up/);
    expect(lines[3]).toMatch(/^ {4}call_\w+ {2}Bash {2}true # third/);
    expect(lines[4]).toContain('something changed without a call');
    expect(lines[5]).toMatch(/Read {2}deep\/b {2}failed.*read-only/);
    expect(lines[6]).toMatch(/Bash {2}rm a; .* {2}\+1 ~1 -1 {2}/);
    expect(lines.at(-1)).toContain('init');
    expect(at('by hand')).toBe(lines.length - 2);
    expect(stdout).not.toContain('\u001b');
  });

  it('lists the snapshots when asked for, and JSON stays what it was', () => {
    const flat = one.cli(['log', '--flat']).stdout.trimEnd().split('\n');
    expect(flat.every((line) => line.startsWith('ghost_'))).toBe(true);
    const json = JSON.parse(one.cli(['log', '--json']).stdout) as { id: string }[];
    expect(json).toHaveLength(flat.length);
  });

  it('follows calls as they end, and ends quietly when interrupted', async () => {
    const start = join(import.meta.dirname, 'start-from-source.ts');
    const child = spawn(process.execPath, [start, 'log', '-n', '1', '--follow'], {
      ...{ cwd: one.path, env: { ...process.env, ...one.environment.env } },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      if (lines.length === 1) await call('live', 'echo y > y');
      if (line.includes('# live')) child.kill('SIGINT');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    expect(lines.filter((line) => line.includes('# live'))).toHaveLength(1);
    expect(lines.at(-1)).toContain('+1');
  });
});
