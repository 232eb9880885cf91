/**
 * The shape of every `--json`, kept as a golden file: fields are added, never renamed or removed.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Environment, openWorkspace } from '../../src/index.ts';
import { makeCliWorkspace } from './cli-workspace.ts';
import { shapeOf } from './shape-of.ts';

/** A tool call that edits a file, as a hook would report it. */
async function tellOneCall(path: string, base: string): Promise<void> {
  const env = { GHOSTSNAP_HOME: join(base, 'home') };
  const environment: Environment = { env, cwd: path, homeDir: base, uid: process.getuid?.() ?? 0 };
  await using workspace = await openWorkspace({ workspace: path, environment });
  const whose = { session: 's', harness: 'test' };
  await workspace.submitPrompt({ ...whose, text: 'edit it' });
  const call = await workspace.beginCall({
    ...whose,
    tool: 'Bash',
    key: 'k',
    input: { command: 'x' },
  });
  writeFileSync(join(path, 'src', 'main.ts'), 'edited\n');
  await workspace.endCall({ call: call.call, outcome: 'ok' });
}

it('--json keeps its shape in every command', async () => {
  await using workspace = await makeCliWorkspace('store');
  const shapes: string[] = [];
  const record = async (...args: readonly string[]): Promise<void> => {
    const { stdout, stderr } = await workspace.cli([...args, '--json']);
    const text = stdout === '' ? stderr : stdout;
    const shown = args.map((arg) => (arg.startsWith('/') ? 'DIR' : arg)).join(' ');
    shapes.push(
      `$ ghostsnap ${shown} --json\n${JSON.stringify(shapeOf(JSON.parse(text)), null, 2)}\n`,
    );
  };
  await record('init');
  await record('snap', '-l', 'one', '--tool', 'Bash', '--session', 's', '--call', 'c');
  await record('show', 'one');
  await record('label', 'one', 'two');
  await record('pin', 'two');
  writeFileSync(join(workspace.path, 'src', 'main.ts'), 'changed\n');
  rmSync(join(workspace.path, 'empty'), { recursive: true });
  await record('diff', 'two');
  await record('rollback', 'two', '--dry-run');
  await record('rollback', 'two');
  await record('undo');
  await record('redo');
  await record('restore', 'two', 'src', '--dry-run');
  await record('restore', 'two', 'src');
  mkdirSync(join(workspace.base, 'to'));
  await record('restore', 'two', 'src', '--to', join(workspace.base, 'to'));
  await record('policy', 'check');
  await record('log', '--operations', '--changes', '-n', '5');
  await tellOneCall(workspace.path, workspace.base);
  await record('undo-call', '@', '--dry-run');
  await record('blame', 'src/main.ts');
  await record('policy', 'explain', '@');
  await record('bisect', 'start', '--good', 'two');
  await record('bisect', 'status');
  await record('bisect', 'run', '--json', 'false');
  await record('bisect', 'reset');
  await record('undo-call', '@');
  await record('status');
  await record('prune', '--dry-run');
  await record('recover');
  await record('pool', 'list');
  await record('rollback', 'no such snapshot');
  await record('destroy', '--yes');
  await expect(shapes.join('\n')).toMatchFileSnapshot('../golden/cli-json-shapes.txt');
});
