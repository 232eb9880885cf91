/** Every command on a real workspace, through the real program, on both backends. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assertSameDigest, digestTree } from '../checker/tree-digest.ts';
import { type CliWorkspace, makeCliWorkspace } from './cli-workspace.ts';

type Json = Record<string, unknown>;

describe.each(['store', 'btrfs'] as const)('commands on a %s workspace', (backend) => {
  let workspace: CliWorkspace;

  const write = (name: string, content: string): void =>
    writeFileSync(join(workspace.path, name), content);
  const read = (name: string): string => readFileSync(join(workspace.path, name), 'utf8');
  const remove = (name: string): void =>
    rmSync(join(workspace.path, name), { recursive: true, force: true });
  const snap = async (): Promise<string> => (await workspace.ok(['snap'])).trim();

  beforeAll(async () => {
    workspace = await makeCliWorkspace(backend);
    const result = await workspace.json(['init', workspace.path]);
    expect(result).toMatchObject({ path: workspace.path, backend, already: false, uncovered: [] });
    expect(Object.keys(result)).toEqual(
      expect.arrayContaining(['workspace', 'path', 'backend', 'pool']),
    );
  });

  afterAll(async () => {
    await workspace[Symbol.asyncDispose]();
  });

  it('init of a workspace changes nothing and says so', async () => {
    expect(await workspace.json(['init', workspace.path])).toMatchObject({ already: true });
  });

  it('snap prints the id alone, and the documented fields as JSON', async () => {
    expect(await workspace.ok(['snap'])).toMatch(/^ghost_[0-9A-HJKMNP-TV-Z]{26}\n$/);
    const result = await workspace.json(['snap', '-l', 'named', '--tool', 'Bash']);
    expect(Object.keys(result)).toEqual([
      'id',
      'workspace',
      'createdAt',
      'durationMs',
      'uncovered',
    ]);
  });

  it('log lists newest first, with label, tool and pin', async () => {
    const first = await workspace.json(['snap', '-l', 'older']);
    const second = await workspace.json(['snap', '--tool', 'Edit', '--pin']);
    const log = await workspace.json<Json[]>(['log', '-n', '2']);
    expect(log).toMatchObject([
      { id: second.id, label: null, tool: 'Edit', pinned: true },
      { id: first.id, label: 'older', tool: null, pinned: false },
    ]);
    for (const { createdAt } of log)
      expect(createdAt).toBe(new Date(String(createdAt)).toISOString());
    expect(await workspace.ok(['log', '-n', '1'])).toMatch(/^ghost_\w+ {2}\S.*pinned {2}Edit\n$/);
  });

  it('show, label, pin and unpin speak of the same snapshot', async () => {
    const id = await snap();
    expect(await workspace.json(['label', '@', 'tests green'])).toMatchObject({ id });
    expect(await workspace.ok(['label', id])).toBe('tests green\n');
    expect(await workspace.json(['pin', 'tests green'])).toMatchObject([{ id, pinned: true }]);
    expect(await workspace.json(['show', id.slice(0, -2)])).toMatchObject({
      id,
      label: 'tests green',
      pinned: true,
      role: 'ordinary',
    });
    expect(await workspace.ok(['unpin', id])).toBe(`unpinned ${id}\n`);
    await workspace.ok(['label', id, '--remove']);
    expect(await workspace.json(['show', id])).toMatchObject({ label: null, pinned: false });
  });

  it('diff says what changed, in each of its forms', async () => {
    const id = await snap();
    write('src/main.ts', 'one\nTWO\nthree\n');
    write('new.txt', 'new\n');
    remove('src/deep/a.ts');
    renameSync(join(workspace.path, 'logo.bin'), join(workspace.path, 'moved.bin'));
    chmodSync(join(workspace.path, 'src'), 0o700);

    const { changes, stats } = await workspace.json<{ changes: Json[]; stats: Json }>(['diff', id]);
    expect(changes.map(({ path, kind, oldPath }) => [kind, path, oldPath])).toEqual([
      ['renamed', 'moved.bin', 'logo.bin'],
      ['added', 'new.txt', undefined],
      ['metadata', 'src', undefined],
      ['deleted', 'src/deep/a.ts', undefined],
      ['modified', 'src/main.ts', undefined],
    ]);
    expect(stats).toMatchObject({ added: 1, deleted: 1, modified: 1, metadata: 1, renamed: 1 });

    expect(await workspace.ok(['diff', id, '--name-status'])).toBe(
      'R\tlogo.bin\tmoved.bin\nA\tnew.txt\nP\tsrc\nD\tsrc/deep/a.ts\nM\tsrc/main.ts\n',
    );
    expect(await workspace.ok(['diff', id, '--stat', '--', 'new.txt'])).toBe(
      'A new.txt  4 B\n1 path: 1 added\n',
    );
    expect(await workspace.ok(['diff', id, '--', 'src/main.ts'])).toBe(
      'diff src/main.ts src/main.ts\n--- src/main.ts\n+++ src/main.ts\n' +
        '@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n',
    );
    const src = join(workspace.path, 'src');
    const below = await workspace.ok(['diff', id, '--name-status', '--', 'deep'], { cwd: src });
    expect(below).toBe('D\tsrc/deep/a.ts\n');

    const after = await snap();
    const between = await workspace.ok(['diff', id, after, '--name-status', '--no-renames']);
    expect(between).toContain('D\tlogo.bin\n');
    expect(await workspace.ok(['diff', after, '--stat'])).toBe('Nothing differs.\n');
    await workspace.ok(['rollback', id]);
  });

  it('rollback --dry-run says what would happen and does nothing', async () => {
    const id = await snap();
    remove('src');
    const before = digestTree(workspace.path);
    const plan = await workspace.cli(['rollback', id, '--dry-run']);
    expect(plan.status).toBe(0);
    expect(plan.stdout).toContain('create    src/main.ts\n');
    const json = await workspace.json(['rollback', id, '--dry-run']);
    expect(json).toMatchObject({ target: id, dryRun: true, stats: { added: 4 } });
    assertSameDigest(before, digestTree(workspace.path), 'the workspace after a dry run');
    await workspace.ok(['rollback', id]);
  });

  it.each(['in-place', 'auto'])(
    'rollback --mode %s gives back the same tree, undo and redo walk',
    async (mode) => {
      const before = digestTree(workspace.path);
      const id = await snap();
      remove('src');
      remove('.env');
      mkdirSync(join(workspace.path, 'src'));
      write('src/main.ts', 'damage');
      const damaged = digestTree(workspace.path);

      const result = await workspace.json(['rollback', id, '--mode', mode]);
      expect(Object.keys(result)).toEqual(
        expect.arrayContaining([
          'operation',
          'target',
          'precautionary',
          'mode',
          'changes',
          'durationMs',
        ]),
      );
      expect(result).toMatchObject({ target: id, kind: 'rollback', notes: [] });
      assertSameDigest(before, digestTree(workspace.path), 'the workspace after the rollback');

      expect(await workspace.json(['undo'])).toMatchObject({ kind: 'undo' });
      assertSameDigest(damaged, digestTree(workspace.path), 'the workspace after the undo');
      expect(await workspace.json(['redo'])).toMatchObject({ kind: 'redo' });
      assertSameDigest(before, digestTree(workspace.path), 'the workspace after the redo');

      const log = await workspace.json<Json[]>(['log', '--operations', '-n', '6']);
      const kinds = log.filter((entry) => 'operation' in entry).map((entry) => entry.kind);
      expect(kinds.slice(0, 3)).toEqual(['redo', 'undo', 'rollback']);
    },
  );

  it('restore brings single paths back, in place and elsewhere, names that are not text too', async () => {
    const id = await snap();
    remove('src/deep');
    write('.env', 'SECRET=lost\n');
    await workspace.ok(['restore', id, 'src/deep']);
    expect(read('src/deep/a.ts')).toBe('deep\n');
    expect(read('.env')).toBe('SECRET=lost\n');

    const to = join(workspace.base, 'elsewhere');
    mkdirSync(to);
    const result = await workspace.json(['restore', id, '.env', 'caf\\xe9', '--to', to]);
    expect(result).toMatchObject({ target: id, directory: to, changes: 2 });
    expect(readFileSync(join(to, '.env'), 'utf8')).toBe('SECRET=1\n');
    expect(read('.env')).toBe('SECRET=lost\n');
    await workspace.ok(['restore', id, './.env']);
    expect(read('.env')).toBe('SECRET=1\n');
  });

  it('a path or a snapshot that is not there is an error with its code, and nothing changes', async () => {
    const id = await snap();
    const before = digestTree(workspace.path);
    for (const [args, code, status] of [
      [['restore', id, 'no-such-path'], 'PATH_NOT_IN_SNAPSHOT', 66],
      [['restore', id, '../outside'], 'PATH_OUTSIDE', 64],
      [['restore', id, '/etc/passwd'], 'PATH_OUTSIDE', 64],
      [['rollback', 'ghost_01ARZ3NDEKTSV4RRFFQ69G5FAV'], 'SNAPSHOT_NOT_FOUND', 66],
      [['rollback', '-rf'], 'BAD_ARGUMENT', 64],
      [['rollback', '--', '-rf'], 'BAD_ID', 64],
      [['diff', 'no such label'], 'BAD_ID', 64],
      [['destroy'], 'CONFIRMATION_NEEDED', 64],
      [['snap', '-w', '/'], 'WORKSPACE_NOT_FOUND', 66],
    ] as const) {
      const result = await workspace.cli([args[0], '--json', ...args.slice(1)]);
      const { error } = JSON.parse(result.stderr) as { error: Json };
      expect([args, error.code, result.status]).toEqual([args, code, status]);
      expect(result.stdout).toBe('');
      expect(Object.keys(error)).toEqual(['code', 'kind', 'message', 'hint', 'data']);
    }
    assertSameDigest(before, digestTree(workspace.path), 'the workspace after refused commands');
  });

  it('status shows the workspace, its pool and what is possible', async () => {
    const status = await workspace.json(['status']);
    expect(status).toMatchObject({ path: workspace.path, backend, canUndo: true, uncovered: [] });
    expect(await workspace.ok(['status'])).toContain(`Path       ${workspace.path}\n`);
  });

  it('run shows what the command changed and passes its output and status through', async () => {
    const script = 'echo made > made.txt; echo out; exit 3';
    const { status, stdout, stderr } = await workspace.cli(['run', '--', 'sh', '-c', script]);
    expect([status, stdout]).toEqual([3, 'out\n']);
    expect(stderr).toContain('A made.txt  5 B\n1 path: 1 added');
    expect(read('made.txt')).toBe('made\n');
    remove('made.txt');
  });

  it('run --rollback-on-failure takes back what a failed command did, and only a failed one', async () => {
    const before = digestTree(workspace.path);
    const failing = ['sh', '-c', 'rm -rf src; exit 1'];
    const failed = await workspace.cli(['run', '--rollback-on-failure', '--', ...failing]);
    expect(failed.status).toBe(1);
    assertSameDigest(before, digestTree(workspace.path), 'the workspace after a failed run');
    const fine = ['touch', 'kept.txt'];
    await workspace.ok(['run', '--rollback-on-failure', ...fine]);
    expect(existsSync(join(workspace.path, 'kept.txt'))).toBe(true);
    remove('kept.txt');
  });

  it('run --rollback-on-failure brings back a directory that the command took away', async () => {
    const before = digestTree(workspace.path);
    const failing = ['sh', '-c', 'rm -rf "$0"; exit 3', workspace.path];
    const failed = await workspace.cli(['run', '--rollback-on-failure', '--', ...failing]);
    expect(failed.status).toBe(3);
    assertSameDigest(before, digestTree(workspace.path), 'the workspace after a failed run');
  });

  it('a command inside run may use ghostsnap itself', async () => {
    const start = new URL('./start-from-source.ts', import.meta.url).pathname;
    await workspace.ok(['run', '--', process.execPath, start, 'snap', '-l', 'inner']);
    expect(await workspace.json(['show', 'inner'])).toMatchObject({ label: 'inner' });
  });

  it('prune prints a rule a snapshot and deletes only what is named', async () => {
    const id = await snap();
    await snap();
    const plan = await workspace.ok(['prune', '--dry-run']);
    expect(plan).toMatch(/^(keep|drop) {2}ghost_\w+ {2}\S.*$/m);
    const result = await workspace.json(['prune', id]);
    expect(result).toMatchObject({ deleted: [id], dryRun: false });
    expect((await workspace.cli(['show', id])).status).toBe(66);
  });

  it('works from a current directory that has been destroyed', async () => {
    const before = digestTree(workspace.path);
    await snap();
    const start = new URL('./start-from-source.ts', import.meta.url).pathname;
    const script = 'rm -rf "$PWD"; exec "$0" "$1" rollback @';
    const cwd = join(workspace.path, 'src');
    const shell = ['sh', '-c', script, process.execPath, start];
    const inner = await workspace.cli(['run', '--', ...shell], { cwd });
    expect(inner.status, inner.stderr).toBe(0);
    assertSameDigest(before, digestTree(workspace.path), 'the workspace after the rollback');
  });

  it('recover finds nothing to mend in a workspace that is whole', async () => {
    expect(await workspace.json(['recover'])).toEqual({
      adopted: [],
      lost: [],
      torn: [],
      finished: [],
      abandoned: [],
      unfinished: null,
      damaged: null,
      catalog: { outcome: 'sound', setAside: null },
      rebound: null,
      isThere: true,
    });
  });

  it('recover --verify proves what the snapshots hold', async () => {
    const proven = await workspace.cli(['recover', '--verify']);
    expect(proven.stdout).toMatch(/Everything that the snapshots hold is whole|btrfs scrub/);
    expect(proven.status).toBe(0);
  });

  it('destroy leaves a plain directory with the same contents', async () => {
    const before = digestTree(workspace.path);
    const result = await workspace.json(['destroy', '--yes']);
    expect(result).toMatchObject({ path: workspace.path });
    assertSameDigest(before, digestTree(workspace.path), 'the directory after destroy');
    expect((await workspace.cli(['status'])).status).toBe(66);
  });
});
