/** Taking one tool call back on real workspaces: what comes back, what stays, and what a crash leaves. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { TURN_STEPS } from '../../src/engine/turn-tree.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { type Protected, protect } from '../never/protected-workspace.ts';

const LINES = Array.from({ length: 20 }, (_, i) => `line ${i}\n`).join('');

describe.each(['store', 'btrfs'] as const)('undoCall() on a %s workspace', (kind) => {
  let one: Protected;
  let workspace: Workspace;
  let calls = 0;

  beforeAll(async () => {
    one = await protect({ kind, before: 'true' });
    workspace = await one.open();
  });

  afterAll(async () => {
    await workspace.close();
    await one[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    one.sh('find . -mindepth 1 -delete; mkdir src; echo keep > src/keep; echo old > src/old');
    writeFileSync(join(one.path, 'text'), LINES);
  });

  async function call(script: string): Promise<string> {
    calls += 1;
    const request = { session: 's', harness: 'test', tool: 'Bash', key: `k${calls}` };
    const begun = await workspace.beginCall(request);
    one.sh(script);
    await workspace.endCall({ call: begun.call, outcome: 'ok' });
    return begun.call;
  }

  /** Without the times of directories: turning single paths moves those of their parents. */
  const tree = (): readonly string[] =>
    one.digest().lines.map((line) => {
      const fields = line.split('\t');
      return fields.map((field, i) => (fields[1] === 'dir' && i === 6 ? '' : field)).join('\t');
    });
  const read = (name: string): string => readFileSync(join(one.path, name), 'latin1');
  const has = (name: string): boolean => existsSync(join(one.path, name));

  it('takes back the last call as a rollback would', async () => {
    const before = tree();
    const id = await call('rm -r src; echo x > new; chmod 600 text; sed -i 1d text');
    await workspace.undoCall(id);
    expect(tree()).toEqual(before);
  });

  it('takes back extended attributes and access control lists, of directories too', async () => {
    const before = tree();
    const id = await call(
      'for p in src text; do setfattr -n user.tag -v x $p; setfacl -m u:1000:rwx $p; done',
    );
    expect(tree()).not.toEqual(before);
    await workspace.undoCall(id);
    expect(tree()).toEqual(before);
  });

  it('keeps what came later, merged line by line, and undo takes it back', async () => {
    const id = await call('sed -i "s/line 3$/CALL/" text; rm src/old; echo made > src/made');
    await call('sed -i "s/line 15$/LATER/" text; echo more > src/later');
    const before = tree();
    const plan = await workspace.planUndoCall(id);
    expect(plan).toMatchObject({
      conflicts: [],
      steps: [
        { path: 'src/made', action: 'remove' },
        { path: 'src/old', action: 'restore' },
        { path: 'text', action: 'merge' },
      ],
    });
    const result = await workspace.undoCall(id);
    expect(result).toMatchObject({ kind: 'undo-call', call: id, conflicts: [], changes: 3 });
    expect(read('text')).toBe(LINES.replace('line 15\n', 'LATER\n'));
    expect([has('src/old'), has('src/made'), read('src/later')]).toEqual([true, false, 'more\n']);
    await workspace.undo();
    expect(tree()).toEqual(before);
  });

  it('writes nothing when one path conflicts, the rest with partial', async () => {
    const id = await call('sed -i "s/line 3$/CALL/" text; rm src/old');
    await call('sed -i "s/CALL$/LATER/" text');
    const before = tree();
    const snapshots = workspace.list().length;
    await expect(workspace.undoCall(id)).rejects.toMatchObject({
      code: 'MERGE_CONFLICT',
      data: { conflicts: ['text: the same lines changed since'] },
    });
    expect(tree()).toEqual(before);
    expect(workspace.list()).toHaveLength(snapshots);
    const result = await workspace.undoCall(id, { conflicts: 'partial' });
    expect(result.conflicts).toEqual([{ path: 'text', reason: 'the same lines changed since' }]);
    expect([has('src/old'), read('text').includes('LATER')]).toEqual([true, true]);
  });

  it('takes back a move, and carries later edits to the old place', async () => {
    const id = await call('mkdir lib; mv text lib/moved');
    await call('sed -i "s/line 15$/LATER/" lib/moved');
    await workspace.undoCall(id);
    expect(read('text')).toBe(LINES.replace('line 15\n', 'LATER\n'));
    expect(has('lib')).toBe(false);
  });

  it('leaves a move whole when its other half conflicts, with the directory it is in', async () => {
    const id = await call('mkdir lib; mv text lib/moved; rm src/old');
    await call("printf 'a\\0b' > lib/moved");
    const result = await workspace.undoCall(id, { conflicts: 'partial' });
    expect(result.conflicts).toEqual([{ path: 'text', reason: 'binary: both changed it' }]);
    expect([has('text'), has('lib/moved'), has('src/old')]).toEqual([false, true, true]);
  });

  it('keeps a directory of the call in which later things are', async () => {
    const id = await call('mkdir -p a/b; echo x > a/b/x; echo y > a/y');
    await call('echo z > a/b/z');
    await workspace.undoCall(id);
    expect([has('a/b/x'), has('a/y'), read('a/b/z')]).toEqual([false, false, 'z\n']);
  });

  it('conflicts where something was made again, or its directory went', async () => {
    const first = await call('rm src/old');
    await call('echo again > src/old');
    await expect(workspace.undoCall(first)).rejects.toMatchObject({
      data: { conflicts: ['src/old: made again since'] },
    });
    const second = await call('rm src/keep');
    await call('rm -r src');
    await expect(workspace.undoCall(second)).rejects.toMatchObject({
      data: { conflicts: ['src/keep: its directory is gone'] },
    });
    expect(has('src')).toBe(false);
  });

  it('merges permissions with content, each side its own', async () => {
    const id = await call('chmod 755 text; chmod 711 src');
    await call('echo end >> text');
    await workspace.undoCall(id);
    expect(statSync(join(one.path, 'text')).mode & 0o777).toBe(0o644);
    expect(statSync(join(one.path, 'src')).mode & 0o777).toBe(0o755);
    expect(read('text')).toBe(`${LINES}end\n`);
  });

  it('keeps line endings, a missing last newline and bytes that are not UTF-8', async () => {
    const odd = ['caf\xe9', 'b', 'c', 'd', 'e', 'f'].join('\r\n');
    writeFileSync(join(one.path, 'odd'), odd, 'latin1');
    const id = await call("sed -i 's/^b/CALL/' odd");
    await call("sed -i 's/^e/LATER/' odd");
    await workspace.undoCall(id);
    expect(read('odd')).toBe(odd.replace('e\r\nf', 'LATER\r\nf'));
  });

  it('refuses to merge binary files, and gives back one that nobody changed since', async () => {
    writeFileSync(join(one.path, 'bin'), Buffer.from([0, 1, 10, 2, 10, 3]));
    const id = await call("printf 'x\\0y' > bin");
    expect((await workspace.planUndoCall(id)).steps).toMatchObject([{ action: 'restore' }]);
    await call("printf 'x\\0z' > bin");
    await expect(workspace.undoCall(id)).rejects.toMatchObject({
      data: { conflicts: ['bin: binary: both changed it'] },
    });
  });

  it('says when nothing is left to take back, and refuses a call that runs', async () => {
    const id = await call('echo x > new');
    await call('rm new');
    await expect(workspace.undoCall(id)).rejects.toMatchObject({ code: 'NOTHING_TO_UNDO' });
    const begun = await workspace.beginCall({ session: 's', harness: 't', tool: 'x', key: 'run' });
    await expect(workspace.undoCall(begun.call)).rejects.toMatchObject({ code: 'WORKSPACE_BUSY' });
    await workspace.endCall({ call: begun.call, outcome: 'ok' });
  });

  it('takes nothing back of a call that only read, whatever somebody changed beside it', async () => {
    await workspace.snapshot();
    calls += 1;
    const reading = { session: 's', harness: 'test', tool: 'Read', key: `k${calls}` };
    const begun = await workspace.beginCall({ ...reading, readOnly: 'yes' });
    one.sh('echo mine > mine; rm src/old');
    await workspace.endCall({ call: begun.call, outcome: 'ok' });
    const before = tree();
    expect((await workspace.planUndoCall(begun.call)).steps).toEqual([]);
    await expect(workspace.undoCall(begun.call)).rejects.toMatchObject({ code: 'NOTHING_TO_UNDO' });
    expect(tree()).toEqual(before);
  });

  it('leaves alone what a rollback has taken back already', async () => {
    const id = await call('rm src/old');
    await workspace.undo();
    await call('echo x > new');
    const plan = await workspace.planUndoCall(id);
    expect(plan.steps).toMatchObject([{ path: 'src/old', action: 'keep' }]);
  });

  it('makes one file of names again that were one, whichever of them the call named', async () => {
    one.sh('ln text src/other; mkdir z; ln src/keep z/keep');
    const before = tree();
    for (const script of ['rm src/other', 'rm text', 'rm z/keep', 'rm src/keep']) {
      const id = await call(script);
      await call('date +%N > later');
      await workspace.undoCall(id);
      one.sh('rm later');
      expect(tree(), script).toEqual(before);
    }
  });

  it('makes a file of its own of a name whose others were written to since', async () => {
    one.sh('ln text src/other');
    const id = await call('rm src/other');
    await call('echo more >> text');
    await workspace.undoCall(id, { conflicts: 'partial' });
    expect([read('src/other'), read('text')]).toEqual([LINES, `${LINES}more\n`]);
  });

  it('never takes another file for the old one because it got its inode number', async () => {
    one.sh('ln text a; ln text b');
    const { ino } = statSync(join(one.path, 'text'));
    const id = await call('rm text a b');
    // Where a number is given again, one of these gets it.
    await call(
      `for i in $(seq 64); do echo OTHER > $i; done
       reused=$(find . -inum ${ino}); mv "\${reused:-1}" b; ln b c`,
    );
    await workspace.undoCall(id, { conflicts: 'partial' });
    expect([read('text'), read('a'), read('b')]).toEqual([LINES, LINES, 'OTHER\n']);
    const [text, a, b] = ['text', 'a', 'b'].map((name) => statSync(join(one.path, name)).ino);
    expect([text === a, a === b]).toEqual([true, false]);
  });

  it('is taken back by recovery, hard links too, when it is killed at any step', {
    timeout: 300_000,
  }, async () => {
    // With files that have names beside the paths of the call.
    one.sh('echo a > a; ln a linked; ln a src/linked; cp -p src/keep copy; ln src/old old2');
    const id = await call(`
      sed -i "s/line 3$/CALL/" text; rm src/old; echo made > src/made
      rm linked; ln a src/more; cp -p --remove-destination a src/linked; ln -f src/keep copy`);
    await call('sed -i "s/line 15$/LATER/" text');
    const before = tree();
    await workspace.close();
    let killed = 0;
    for (let nth = 1; ; nth += 1) {
      const signal = await killAtStep(one, id, nth);
      workspace = await one.open();
      if (signal === null) break;
      killed += 1;
      const isDone = !has('src/made');
      if (!isDone) expect(tree(), `killed at step ${nth}`).toEqual(before);
      else {
        // Done means merged: the later line is there.
        expect(read('text')).toBe(LINES.replace('line 15\n', 'LATER\n'));
        await workspace.undo();
      }
      expect(tree(), `killed at step ${nth}`).toEqual(before);
      await workspace.close();
    }
    expect(killed).toBeGreaterThan(TURN_STEPS.length + 6);
    expect([has('src/old'), has('src/made')]).toEqual([true, false]);
    expect(read('text')).toBe(LINES.replace('line 15\n', 'LATER\n'));
  });
});

async function killAtStep(one: Protected, call: string, nth: number): Promise<string | null> {
  const script = join(import.meta.dirname, 'undo-call-child.ts');
  const argument = JSON.stringify({ path: one.path, call, nth, environment: one.environment });
  const child = spawn(process.execPath, [script, argument], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  expect([code, signal]).toSatisfy(() => code === 0 || signal === 'SIGKILL');
  return signal;
}
