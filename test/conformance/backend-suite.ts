/**
 * The conformance suite: what every backend does, whatever it is made of.
 *
 * The suite branches on `properties` only. Each test starts from a workspace of its own; the model
 * (test/model/) says what must be there afterwards, the independent checker says what is.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Backend, TreeRef } from '../../src/backend/backend.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import { type SnapshotId, ulidOf, ulidTimeMs } from '../../src/core/ids.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import type { Operation } from '../model/operation.ts';
import { intentArbitrary } from '../model/operation-arbitrary.ts';
import { describeDifference, listModel } from '../model/tree-listing.ts';
import { describeCloning } from './clone-suite.ts';
import type { Stage } from './stage.ts';
import { linesWithin, type Step, World } from './world.ts';

export interface BackendUnderTest {
  readonly name: string;
  /** A fresh workspace, an empty directory, after `initWorkspace`. */
  readonly make: () => Promise<Stage>;
  /** Random sequences to run, and the steps of the longest. */
  readonly runs: number;
  readonly stepsMax: number;
}

/** Fixed, so that a red run stays red; GHOSTSNAP_SEED explores. */
const SEED = Number(process.env.GHOSTSNAP_SEED ?? '20250101');

const at = (path: string): RawPath => path as RawPath;
const write = (path: string, content: string): Operation => ({
  op: 'write',
  path: at(path),
  content: Buffer.from(content),
});

/** One of everything that a workspace may hold, without privilege. */
const RICH: readonly Operation[] = [
  { op: 'mkdir', path: at('src') },
  { op: 'mkdir', path: at('src/deep') },
  { op: 'mkdir', path: at('empty') },
  { op: 'mkdir', path: at('-rf') },
  write('src/a', 'content'),
  write('src/deep/\xff\xfe\n', 'not UTF-8'),
  write('.env', 'SECRET=1'),
  write('zero', ''),
  write('big', 'block '.repeat(100_000)),
  { op: 'link', path: at('src/a'), to: at('linked') },
  { op: 'symlink', path: at('sym'), target: '../../etc' },
  { op: 'symlink', path: at('dangling'), target: '\xff' },
  { op: 'fifo', path: at('pipe') },
  { op: 'chmod', path: at('.env'), mode: 0o600 },
  { op: 'chmod', path: at('empty'), mode: 0o1700 },
  { op: 'set-xattr', path: at('src/a'), name: 'user.k', value: Buffer.from([0, 1, 255]) },
  { op: 'set-xattr', path: at('src'), name: 'user.d', value: Buffer.from('dir') },
  { op: 'truncate', path: at('zero'), sizeBytes: 3_000_000 },
  { op: 'append', path: at('zero'), content: Buffer.from('tail') },
  { op: 'utimes', path: at('sym'), mtimeNs: 1_234_567_890_123_456_789n },
  { op: 'utimes', path: at('src/a'), mtimeNs: -1_000_000_001n },
  { op: 'utimes', path: at('src/deep'), mtimeNs: 999_999_999n },
];

const WRECK: readonly Operation[] = [
  { op: 'remove', path: at('src') },
  { op: 'remove', path: at('empty') },
  { op: 'remove', path: at('sym') },
  { op: 'mkdir', path: at('sym') },
  write('sym/inside', 'a directory where a link was'),
  { op: 'remove', path: at('-rf') },
  write('-rf', 'a file where a directory was'),
  { op: 'truncate', path: at('big'), sizeBytes: 10 },
  { op: 'overwrite-quietly', path: at('.env'), offset: 7, content: Buffer.from('2') },
  { op: 'chmod', path: at('zero'), mode: 0o777 },
  write('new', 'added'),
];

export function describeBackend(under: BackendUnderTest): void {
  /** A test on a stage of its own. */
  const check = (name: string, body: (world: World) => Promise<void>): void => {
    test(name, async () => {
      await using stage = await under.make();
      await body(new World(stage));
    });
  };
  describe(`the ${under.name} backend`, () => {
    describeSnapshots(check);
    describeTurning(check);
    describeScratch(check);
    describeLooking(check);
    describeSwapping(check);
    describeCloning(check, { rich: RICH, wreck: WRECK });
    describeRefusals(check);
    test('agrees with the model in random sequences', () => runRandomSequences(under));
  });
}

type Check = (name: string, body: (world: World) => Promise<void>) => void;

function describeSnapshots(check: Check): void {
  check('createSnapshot() holds every kind of entry and leaves the live tree alone', async (w) => {
    w.run(...RICH);
    await w.snapshot();
    await w.checkAll();
    w.run(...WRECK);
    await w.checkAll();
  });

  check('createSnapshotSync() holds the same as createSnapshot()', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    const synchronous = w.newId();
    w.stage.backend().createSnapshotSync(w.stage.ref, synchronous);
    w.kept.set(synchronous, w.model(id));
    await w.checkAll();
  });

  check('createSnapshot() refuses an id that exists and keeps what it holds', async (w) => {
    w.run(write('a', 'first'));
    const id = await w.snapshot();
    w.run(write('a', 'second'));
    await expect(w.stage.backend().createSnapshot(w.stage.ref, id)).rejects.toThrow();
    expect(() => w.stage.backend().createSnapshotSync(w.stage.ref, id)).toThrow();
    await w.checkAll();
  });

  check('listSnapshots() is in id order, with the time that the id carries', async (w) => {
    for (let i = 0; i < 3; i += 1) await w.snapshot();
    const listed = w.stage.backend().listSnapshots(w.stage.ref);
    expect(listed.map(({ id }) => id)).toEqual([...w.kept.keys()]);
    for (const { id, createdAtMs, isWhole } of listed) {
      expect(isWhole).toBe(true);
      expect(Math.abs(createdAtMs - ulidTimeMs(ulidOf(id)))).toBeLessThan(60_000);
    }
  });

  check('snapshotsStamp() moves with the set of snapshots and with nothing else', async (w) => {
    const stamp = (): string => w.stage.backend().snapshotsStamp(w.stage.ref);
    const id = await w.snapshot();
    const before = stamp();
    w.run(write('a', 'x'));
    expect(stamp()).toBe(before);
    await w.snapshot();
    const grown = stamp();
    expect(grown).not.toBe(before);
    await w.stage.backend().deleteSnapshots(w.stage.ref, [id]);
    expect(stamp()).not.toBe(grown);
  });

  check('deleteSnapshots() removes what it names, again without complaint', async (w) => {
    w.run(...RICH);
    const first = await w.snapshot();
    w.run(...WRECK);
    await w.snapshot();
    const third = await w.snapshot();
    for (let again = 0; again < 2; again += 1) {
      await w.stage.backend().deleteSnapshots(w.stage.ref, [first, third, w.newId()]);
    }
    w.kept.delete(first);
    w.kept.delete(third);
    await w.checkAll();
  });

  check('setPinned() is kept on disk and may be repeated', async (w) => {
    const id = await w.snapshot();
    for (let again = 0; again < 2; again += 1) {
      w.stage.backend().setPinned(w.stage.ref, id, 'pinned');
    }
    expect((await w.stage.reopen()).listPinned(w.stage.ref)).toEqual([id]);
    for (let again = 0; again < 2; again += 1) {
      w.stage.backend().setPinned(w.stage.ref, id, 'unpinned');
    }
    expect((await w.stage.reopen()).listPinned(w.stage.ref)).toEqual([]);
  });

  check('a later process finds the same snapshots and goes on', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    await w.stage.reopen();
    await w.checkAll();
    w.run(...WRECK);
    await w.snapshot();
    await w.stage.reopen();
    await w.rollback(id);
    await w.checkAll();
  });
}

function describeScratch(check: Check): void {
  check('makeScratch() gives an equal tree that is neither snapshot nor workspace', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(...WRECK);
    const path = await w.stage.backend().makeScratch(w.stage.ref, id);
    expect(describeDifference(listModel(w.model(id)), w.stage.listDirectory(path))).toBe('');
    if (w.stage.kind === 'directory') rmSync(join(path, 'src'), { recursive: true });
    await w.checkAll();
  });

  check('makeScratch() takes the place of the one before; recovery leaves it alone', async (w) => {
    w.run(...RICH);
    const first = await w.snapshot();
    w.run(...WRECK);
    const second = await w.snapshot();
    await w.stage.backend().makeScratch(w.stage.ref, first);
    const path = await w.stage.backend().makeScratch(w.stage.ref, second);
    await w.stage.reopen();
    expect(describeDifference(listModel(w.model(second)), w.stage.listDirectory(path))).toBe('');
    for (let again = 0; again < 2; again += 1) {
      await w.stage.backend().removeScratch(w.stage.ref);
    }
    if (w.stage.kind === 'directory') expect(existsSync(path)).toBe(false);
    await w.checkAll();
  });

  check('makeScratch() of what is not there is refused and takes nothing away', async (w) => {
    w.run(write('a', 'x'));
    const path = await w.stage.backend().makeScratch(w.stage.ref, await w.snapshot());
    await expectCode(w.stage.backend().makeScratch(w.stage.ref, w.newId()), 'SNAPSHOT_NOT_FOUND');
    expect(w.stage.listDirectory(path).join()).toContain('a');
    await w.checkAll();
  });
}

function describeTurning(check: Check): void {
  check('applyInPlace() brings back every kind of entry', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(...WRECK);
    await w.rollback(id);
    await w.checkAll();
  });

  check('applyInPlace() with nothing left, and then there and back again', async (w) => {
    w.run(...RICH);
    const full = await w.snapshot();
    const names = [...w.live.root.entries.keys()];
    w.run(...names.map((name): Operation => ({ op: 'remove', path: at(name) })));
    const empty = await w.snapshot();
    for (const id of [full, empty, full]) {
      await w.rollback(id);
      w.checkLive();
    }
    await w.checkKept();
  });

  check('applyInPlace() run again changes nothing', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(...WRECK);
    await w.rollback(id);
    const again = await w.stage.backend().applyInPlace(w.stage.ref, id);
    expect(again.changes).toBe(0);
    w.checkLive();
  });

  check('applyInPlace() with a hint turns all that differed then', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(...WRECK);
    const since = await w.snapshot();
    await w.rollback(id, since);
    await w.checkAll();
  });

  check(
    "applyInPlace() with a hint links a removed directory's files to names outside it",
    async (w) => {
      const link = (to: string): Operation => ({ op: 'link', path: at('one'), to: at(to) });
      w.run(write('one', 'same'), { op: 'mkdir', path: at('d') }, link('d/two'), link('three'));
      const id = await w.snapshot();
      w.run({ op: 'remove', path: at('d') });
      const since = await w.snapshot();
      await w.rollback(id, since);
      await w.checkAll();
    },
  );

  check(
    'applyInPlace() with a stale hint turns what differed and loses no later work',
    async (w) => {
      w.run(...RICH);
      const id = await w.snapshot();
      w.run(...WRECK);
      const since = await w.snapshot();
      const later = write('later', 'never captured');
      w.run(later, { op: 'remove', path: at('big') });
      await w.stage.backend().applyInPlace(w.stage.ref, id, { since });
      // What was written after the hint is in no snapshot: it may be turned or left, not half of it.
      const wanted = listModel(w.model(id)).filter((line) => !line.startsWith('.\t'));
      const live = w.stage.listLive().filter((line) => !/^(\.|later)\t/.test(line));
      expect(describeDifference(wanted, live)).toBe('');
    },
  );

  check('applyInPlace() with a path gives a linked file its attributes back', async (w) => {
    w.run(write('a', 'same'), { op: 'link', path: at('a'), to: at('b') });
    const id = await w.snapshot();
    w.run({ op: 'chmod', path: at('a'), mode: 0o600 });
    await w.stage.backend().applyInPlace(w.stage.ref, id, { paths: [at('a')] });
    const modeOf = (lines: readonly string[]): string | undefined =>
      linesWithin(lines, at('a')).join().split('\t')[2];
    expect(modeOf(w.stage.listLive())).toBe(modeOf(listModel(w.model(id))));
  });

  check('applyInPlace() with a path leaves another name of its file as it is', async (w) => {
    w.run(write('a', 'same'), write('b', 'other'));
    const id = await w.snapshot();
    w.run({ op: 'remove', path: at('b') }, { op: 'link', path: at('a'), to: at('b') });
    w.run({ op: 'chmod', path: at('a'), mode: 0o600 });
    const fieldsOf = (lines: readonly string[], path: string): string =>
      linesWithin(lines, at(path)).join().split('\t').slice(1, 7).join();
    const before = w.stage.listLive();
    await w.stage.backend().applyInPlace(w.stage.ref, id, { paths: [at('a')] });
    const after = w.stage.listLive();
    expect(fieldsOf(after, 'a')).toBe(fieldsOf(listModel(w.model(id)), 'a'));
    expect(fieldsOf(after, 'b')).toBe(fieldsOf(before, 'b'));
  });

  check('applyInPlace() with paths turns these and nothing else', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(...WRECK);
    const before = w.stage.listLive();
    await w.stage.backend().applyInPlace(w.stage.ref, id, { paths: [at('src/deep'), at('big')] });
    const after = w.stage.listLive();
    const wanted = listModel(w.model(id));
    for (const path of ['src/deep', 'big']) {
      const difference = describeDifference(
        linesWithin(wanted, at(path)),
        linesWithin(after, at(path)),
      );
      expect(difference).toBe('');
    }
    // Beside them, only directories on the way to a restored path may look different.
    const onTheWay = /^(\.|src|src\/deep.*|big)\t/;
    const rest = (lines: readonly string[]): string[] => lines.filter((l) => !onTheWay.test(l));
    expect(describeDifference(rest(before), rest(after))).toBe('');
  });

  check('applyInPlace() that is interrupted may be run again', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(...WRECK);
    const signal = AbortSignal.abort();
    await expectCode(w.stage.backend().applyInPlace(w.stage.ref, id, { signal }), 'INTERRUPTED');
    await w.rollback(id);
    await w.checkAll();
  });

  check('identify() stays through a rollback and moves with a replacement', async (w) => {
    w.run(write('a', 'x'));
    const id = await w.snapshot();
    const before = w.stage.backend().identify(w.stage.ref).token;
    w.run(write('a', 'y'));
    await w.rollback(id);
    expect(w.stage.backend().identify(w.stage.ref).token).toBe(before);
    w.stage.replaceLive();
    expect(tokenOrGone(w.stage)).not.toBe(before);
  });
}

/** A backend may say that the workspace is gone where another one gives a different token. */
function tokenOrGone(stage: Stage): string {
  try {
    return stage.backend().identify(stage.ref).token;
  } catch (error) {
    return (error as { code?: string }).code ?? 'no code';
  }
}

function describeLooking(check: Check): void {
  check('compare() says what turns one tree into the other, in walk order', async (w) => {
    w.run(...RICH);
    const before = await w.snapshot();
    w.run(...WRECK);
    const after = await w.snapshot();
    const pairs: readonly (readonly [TreeRef, TreeRef])[] = [
      [before, after],
      [after, before],
      ['live', before],
      [before, 'live'],
      [after, 'live'],
      [before, before],
    ];
    for (const [from, to] of pairs) await w.checkCompare(from, to);
  });

  check(
    'areProvenSame() knows states between which nothing happened, and never others',
    async (w) => {
      w.run(...RICH);
      const first = await w.snapshot();
      const again = await w.snapshot();
      w.run(write('src/a', 'other'));
      const changed = await w.snapshot();
      const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
      expect(backend.areProvenSame(ref, first, first)).toBe(true);
      expect(backend.areProvenSame(ref, first, again)).toBe(true);
      expect(backend.areProvenSame(ref, again, changed)).toBe(false);
      expect(backend.areProvenSame(ref, changed, first)).toBe(false);
    },
  );

  check('compare() keeps to the paths it is given, and can ignore mtimes', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(write('src/a', 'other'), { op: 'utimes', path: at('big'), mtimeNs: 5n });
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    const named = await collect(backend.compare(ref, id, 'live', { paths: [at('src')] }));
    expect(named.map(({ path }) => path)).toEqual(['src/a']);
    const untimed = await collect(backend.compare(ref, id, 'live', { mtimes: false }));
    // `linked` is another name of the same file.
    expect(untimed.map(({ path }) => path)).toEqual(['linked', 'src/a']);
  });

  check(
    'openTree() reads pieces of files, and finds nothing behind a file or a link',
    async (w) => {
      w.run(...RICH);
      const id = await w.snapshot();
      using reader = await w.stage.backend().openTree(w.stage.ref, id);
      expect(Buffer.from(reader.readFile(at('.env'), 3, 4)).toString()).toBe('RET=');
      expect(reader.readFile(at('.env'), 100, 4)).toHaveLength(0);
      expect(reader.lookup(at('missing'))).toBeNull();
      expect(reader.lookup(at('.env/below'))).toBeNull();
      expect(reader.lookup(at('sym/passwd'))).toBeNull();
      expect(reader.lookup(at('src/deep/\xff\xfe\n'))?.sizeBytes).toBe(9);
    },
  );

  check('extract() writes paths elsewhere and refuses what is there already', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(...WRECK);
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    const scratch = w.stage.makeScratch();
    await backend.extract(ref, id, [at('src'), at('sym')], scratch);
    const names = w.stage.listDirectory(scratch).map((line) => line.split('\t')[0]);
    expect(names).toEqual(['.', 'src', 'src/a', 'src/deep', 'src/deep/\\xff\\xfe\\x0a', 'sym']);
    const before = w.stage.listDirectory(scratch);
    await expectCode(backend.extract(ref, id, [at('sym')], scratch), 'TARGET_EXISTS');
    await expectCode(backend.extract(ref, id, [at('not/there')], scratch), 'PATH_NOT_IN_SNAPSHOT');
    expect(describeDifference(before, w.stage.listDirectory(scratch))).toBe('');
    w.checkLive();
  });

  check('space() says what the pool has and has left', async (w) => {
    const { totalBytes, freeBytes } = w.stage.backend().space(w.stage.ref.poolRoot);
    expect(totalBytes).toBeGreaterThan(0);
    expect(freeBytes).toBeLessThanOrEqual(totalBytes);
  });
}

function describeSwapping(check: Check): void {
  check('swapIn() exchanges whole trees, or says that it can not', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(...WRECK);
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    if (!backend.properties.canSwap) {
      expect(backend.checkSwap(ref).allowed).toBe(false);
      await expectCode(swapAnyway(backend, w.stage, id), 'UNSUPPORTED_MODE');
      w.checkLive();
      return;
    }
    expect(backend.checkSwap(ref)).toMatchObject({ allowed: true });
    const token = backend.identify(ref).token;
    await w.swap(id);
    expect(backend.identify(ref).token).not.toBe('');
    await w.checkAll();
    // The tree that came in is a workspace as before: it is captured and turned like any other.
    w.run(write('after the swap', 'x'));
    const later = await w.snapshot();
    w.run(...WRECK.slice(0, 2));
    await w.rollback(later);
    await w.checkAll();
    expect(typeof token).toBe('string');
  });

  check('finishSwap() takes back a swap that has not exchanged yet', async (w) => {
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    if (!backend.properties.canSwap) return;
    w.run(...RICH);
    const id = await w.snapshot();
    w.run(...WRECK);
    const token = backend.prepareSwap(ref, id, 'op_conformance');
    expect(await backend.finishSwap(ref, id, token)).toBe('undone');
    expect(await backend.finishSwap(ref, id, token)).toBe('undone');
    await w.checkAll();
  });
}

async function swapAnyway(backend: Backend, stage: Stage, id: SnapshotId): Promise<void> {
  await backend.swapIn(stage.ref, id, backend.prepareSwap(stage.ref, id, 'op_conformance'));
}

function describeRefusals(check: Check): void {
  check('an unknown snapshot is SNAPSHOT_NOT_FOUND and changes nothing', async (w) => {
    w.run(...RICH);
    const id = await w.snapshot();
    const unknown = w.newId();
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    const scratch = w.stage.makeScratch();
    await expectCode(backend.openTree(ref, unknown), 'SNAPSHOT_NOT_FOUND');
    await expectCode(backend.applyInPlace(ref, unknown), 'SNAPSHOT_NOT_FOUND');
    await expectCode(backend.extract(ref, unknown, [at('src')], scratch), 'SNAPSHOT_NOT_FOUND');
    await expectCode(collect(backend.compare(ref, unknown, id)), 'SNAPSHOT_NOT_FOUND');
    await expectCode(collect(backend.compare(ref, id, unknown)), 'SNAPSHOT_NOT_FOUND');
    await w.checkAll();
  });

  check('a workspace that is gone is WORKSPACE_GONE, and its snapshots stay', async (w) => {
    w.run(...RICH);
    await w.snapshot();
    w.stage.removeLive();
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    expect(() => backend.identify(ref)).toThrow(codeError('WORKSPACE_GONE'));
    const id = w.newId();
    await expectCode(backend.createSnapshot(ref, id), 'WORKSPACE_GONE');
    expect(() => backend.createSnapshotSync(ref, id)).toThrow(codeError('WORKSPACE_GONE'));
    await w.checkKept();
  });

  check('releaseWorkspace() leaves the same tree and no snapshots', async (w) => {
    w.run(...RICH);
    await w.snapshot();
    w.run(...WRECK.slice(0, 3));
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    await backend.releaseWorkspace(ref, {});
    w.checkLive();
    expect(backend.listSnapshots(ref)).toEqual([]);
    // Killed after its last step and run again, it finds its work done.
    await backend.releaseWorkspace(ref, {});
    w.checkLive();
  });
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

function codeError(code: ErrorCode): object {
  return expect.objectContaining({ name: 'GhostsnapError', code }) as object;
}

async function expectCode(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  await expect(work).rejects.toMatchObject({ name: 'GhostsnapError', code });
}

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('operation'), intent: intentArbitrary }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('snapshot') }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('rollback'), pick: fc.nat(99), hint: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('swap'), pick: fc.nat(99) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('compare'), pick: fc.nat(99), other: fc.nat(99) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('extract'), pick: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete'), pick: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pin'), pick: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen') }) },
) as fc.Arbitrary<Step>;

async function runRandomSequences(under: BackendUnderTest): Promise<void> {
  const steps = fc.array(stepArbitrary, {
    minLength: Math.floor(under.stepsMax / 2),
    maxLength: under.stepsMax,
    size: 'max',
  });
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      await using stage = await under.make();
      const world = new World(stage);
      try {
        for (const step of sequence) await world.step(step);
        await world.checkAll();
      } catch (error) {
        throw new Error(`After\n${world.log.join('\n')}`, { cause: error });
      }
    }),
    { numRuns: under.runs, seed: SEED, endOnFailure: process.env.GHOSTSNAP_SHRINK === undefined },
  );
}
