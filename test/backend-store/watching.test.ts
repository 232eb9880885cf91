/** A watching store: the same snapshots as a scanning one, whatever events were missed. */
import { spawn } from 'node:child_process';
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { ChangeWatcher } from '../../src/backend/store/change-watcher.ts';
import { createStoreBackend } from '../../src/backend/store/store-backend.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { StoreStage } from './store-stage.ts';

let stage: StoreStage;

beforeEach(() => {
  stage = new StoreStage();
});
afterEach(() => stage?.[Symbol.dispose]());

/** Differences between a snapshot and the live tree, found without the index and without events. */
async function differences(id: SnapshotId): Promise<string[]> {
  rmSync(join(stage.own, 'index'), { force: true });
  await using scanning = createStoreBackend({ watch: 'off' });
  const found: string[] = [];
  for await (const change of scanning.compare(stage.ref, id, 'live')) {
    found.push(`${change.kind} ${change.path}`);
  }
  return found;
}

async function assertExact(backend: Backend): Promise<void> {
  expect(await differences(stage.take(backend))).toEqual([]);
}

test('a snapshot after one edit holds it, and one after nothing is the same tree', async () => {
  await using backend = await stage.open({ watch: 'on' });
  mkdirSync(stage.inLive('a/b/c'), { recursive: true });
  writeFileSync(stage.inLive('a/b/c/f'), 'one');
  await assertExact(backend);
  writeFileSync(stage.inLive('a/b/c/f'), 'two');
  await assertExact(backend);
  await assertExact(backend);
});

test('directories that move, swap names or come back are looked at in full', async () => {
  await using backend = await stage.open({ watch: 'on' });
  for (const name of ['a/x', 'b/y', 'c']) mkdirSync(stage.inLive(name), { recursive: true });
  writeFileSync(stage.inLive('a/x/1'), 'one');
  writeFileSync(stage.inLive('b/y/2'), 'two');
  await assertExact(backend);
  renameSync(stage.inLive('a'), stage.inLive('t'));
  renameSync(stage.inLive('b'), stage.inLive('a'));
  renameSync(stage.inLive('t'), stage.inLive('b'));
  await assertExact(backend);
  writeFileSync(stage.inLive('b/x/1'), 'changed under the new name');
  renameSync(stage.inLive('b/x'), stage.inLive('c/x'));
  await assertExact(backend);
  writeFileSync(stage.inLive('c/x/3'), 'three');
  rmSync(stage.inLive('a'), { recursive: true });
  mkdirSync(stage.inLive('a/y'), { recursive: true });
  await assertExact(backend);
  writeFileSync(stage.inLive('a/y/4'), 'four');
  await assertExact(backend);
});

test('a directory moved out and changed there is seen when it comes back', async () => {
  await using backend = await stage.open({ watch: 'on' });
  mkdirSync(stage.inLive('d/e'), { recursive: true });
  writeFileSync(stage.inLive('d/e/f'), 'before');
  await assertExact(backend);
  renameSync(stage.inLive('d'), join(stage.base, 'outside'));
  await assertExact(backend);
  writeFileSync(join(stage.base, 'outside/e/f'), 'after');
  renameSync(join(stage.base, 'outside'), stage.inLive('d'));
  await assertExact(backend);
});

test('a write through a name outside of the workspace is seen', async () => {
  await using backend = await stage.open({ watch: 'on' });
  mkdirSync(stage.inLive('d'));
  writeFileSync(stage.inLive('d/f'), 'before');
  linkSync(stage.inLive('d/f'), join(stage.base, 'other-name'));
  await assertExact(backend);
  writeFileSync(join(stage.base, 'other-name'), 'after!');
  await assertExact(backend);
});

test('a store through a shared mapping that was there before is seen', async () => {
  await using backend = await stage.open({ watch: 'on' });
  mkdirSync(stage.inLive('d'));
  writeFileSync(stage.inLive('d/m'), 'x'.repeat(4096));
  const script = [
    'import mmap,sys',
    "f=open(sys.argv[1],'r+b'); m=mmap.mmap(f.fileno(),0); f.close()",
    "m[0]=ord('1'); print('ready',flush=True)",
    "for line in sys.stdin: m[0]=ord(line[0]); print('stored',flush=True)",
  ].join('\n');
  const child = spawn('/usr/bin/python3', ['-c', script, stage.inLive('d/m')]);
  // By lines: the rest of one answer, come later, would pass for the next one.
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answered = async (): Promise<unknown> => (await answers.next()).value;
  expect(await answered()).toBe('ready');
  try {
    await assertExact(backend);
    for (let i = 0; i < 40; i += 1) {
      // Other directories become busy, so that this one is looked at for its mapping alone.
      mkdirSync(stage.inLive(`busy-${i}`));
      writeFileSync(stage.inLive(`busy-${i}/f`), 'x');
    }
    await assertExact(backend);
    for (let i = 0; i < 40; i += 1) writeFileSync(stage.inLive(`busy-${i}/f`), 'y');
    await assertExact(backend);
    child.stdin.write('7\n');
    expect(await answered()).toBe('stored');
    const id = stage.take(backend);
    using tree = await backend.openTree(stage.ref, id);
    expect(Buffer.from(tree.readFile('d/m' as RawPath, 0, 1)).toString()).toBe('7');
  } finally {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  }
});

test('more events than the queue holds lead to a full look', async () => {
  await using backend = await stage.open({ watch: 'on' });
  mkdirSync(stage.inLive('noisy'));
  mkdirSync(stage.inLive('quiet'));
  writeFileSync(stage.inLive('quiet/f'), 'before');
  await assertExact(backend);
  // Equal events next to each other merge, so two files take turns; nothing drains meanwhile, for this
  // test never lets go of the thread.
  const fds = ['a', 'b'].map((name) => openSync(stage.inLive(`noisy/${name}`), 'w'));
  const events = 2 * Number(readProc('/proc/sys/fs/inotify/max_queued_events'));
  for (let i = 0; i < events; i += 1) writeSync(fds[i % 2]!, 'x', 0);
  for (const fd of fds) closeSync(fd);
  writeFileSync(stage.inLive('quiet/f'), 'after the overflow');
  await assertExact(backend);
});

test('an overflow is a gap until everything was looked at again', () => {
  using watcher = new ChangeWatcher();
  watcher.startOver();
  expect(watcher.isComplete).toBe(true);
  const fd = openSync(stage.live, 'r');
  watcher.watch('' as RawPath, fd);
  closeSync(fd);
  const fds = ['a', 'b'].map((name) => openSync(stage.inLive(name), 'w'));
  const events = 2 * Number(readProc('/proc/sys/fs/inotify/max_queued_events'));
  for (let i = 0; i < events; i += 1) writeSync(fds[i % 2]!, 'x', 0);
  for (const opened of fds) closeSync(opened);
  watcher.drain();
  expect(watcher.isComplete).toBe(false);
  watcher.startOver();
  expect(watcher.isComplete).toBe(true);
});

test('a failed snapshot loses nothing of what was heard', async () => {
  let fails = false;
  await using backend = await stage.open({
    watch: 'on',
    onStep: () => {
      if (fails) throw new Error('killed by the test');
    },
  });
  mkdirSync(stage.inLive('d'));
  // Too many entries to be looked at merely because the directory was busy.
  for (let i = 0; i < 1001; i += 1) writeFileSync(stage.inLive(`d/${i}`), '');
  writeFileSync(stage.inLive('d/f'), 'one');
  await assertExact(backend);
  writeFileSync(stage.inLive('d/f'), 'two');
  fails = true;
  expect(() => stage.take(backend)).toThrow('killed by the test');
  fails = false;
  await assertExact(backend);
});

test('random changes and moves are all seen', async () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));
  const operation = fc.oneof(
    fc.record({ op: fc.constant('write'), path, to: path }),
    fc.record({ op: fc.constant('mkdir'), path, to: path }),
    fc.record({ op: fc.constant('remove'), path, to: path }),
    fc.record({ op: fc.constant('rename'), path, to: path }),
    fc.record({ op: fc.constant('link'), path, to: path }),
    fc.record({ op: fc.constant('touch'), path, to: path }),
    fc.record({ op: fc.constant('snapshot'), path, to: path }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 40 }), async (operations) => {
      using own = new StoreStage();
      await using backend = await own.open({ watch: 'on' });
      let serial = 0;
      for (const { op, path: from, to } of operations) {
        serial += 1;
        if (op === 'snapshot') own.take(backend);
        else tryOperation(op, join(own.live, from), join(own.live, to), serial);
      }
      const id = own.take(backend);
      rmSync(join(own.own, 'index'), { force: true });
      await using scanning = createStoreBackend();
      const found: string[] = [];
      for await (const change of scanning.compare(own.ref, id, 'live')) {
        found.push(`${change.kind} ${change.path} ${change.fields.join()}`);
      }
      expect(found).toEqual([]);
    }),
    { numRuns: 60 },
  );
});

/** Many operations make no sense where they land: then nothing happens. */
function tryOperation(op: string, from: string, to: string, serial: number): void {
  try {
    if (op === 'write') writeFileSync(from, `content ${serial}`);
    else if (op === 'mkdir') mkdirSync(from, { recursive: true });
    else if (op === 'remove') rmSync(from, { recursive: true });
    else if (op === 'rename') renameSync(from, to);
    else if (op === 'link') linkSync(from, to);
    else utimesSync(from, serial, serial);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
  }
}

function readProc(path: string): string {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  expect(statSync(path).isFile()).toBe(true);
  return readFileSync(path, 'utf8');
}

test('a new link is a link in the directory of its old name too, where nothing is heard', async () => {
  await using backend = await stage.open({ watch: 'on' });
  for (const name of ['a', 'b', 'c']) mkdirSync(stage.inLive(name));
  writeFileSync(stage.inLive('a/f'), 'one');
  for (let i = 0; i < 3; i += 1) await assertExact(backend);
  linkSync(stage.inLive('a/f'), stage.inLive('b/g'));
  await assertExact(backend);
  writeFileSync(stage.inLive('b/g'), 'through the new name');
  rmSync(stage.inLive('b/g'));
  await assertExact(backend);
});
