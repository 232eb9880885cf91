/**
 * A long file holds nobody up: whoever else is served by the process has its turn many times while one is
 * compared, copied or given back, and who gives the work up does not wait for its end.
 */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TreeReader } from '../../src/backend/backend.ts';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { createStoreBackend } from '../../src/backend/store/store-backend.ts';
import { applyTree } from '../../src/backend/tree-apply.ts';
import { compareTrees } from '../../src/backend/tree-compare.ts';
import type { SnapshotId, WorkspaceId } from '../../src/core/ids.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';

const LONG_BYTES = 24 * 2 ** 20;
/** Turns that others have at least: a MiB each is the most that is done in one. */
const TURNS_MIN = LONG_BYTES / 2 ** 20 - 1;
const SNAPSHOT = 'ghost_01J9Z3K4M5N6P7Q8R9S0T1V2W3' as SnapshotId;

let directory = '';
let live = '';
let was = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ghostsnap-long-'));
  live = join(directory, 'live');
  was = join(directory, 'was');
  for (const tree of [live, was]) {
    mkdirSync(tree);
    writeFileSync(join(tree, 'long'), Buffer.alloc(LONG_BYTES, 'x'));
  }
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** How often the event loop came round while something was done. */
async function turnsOf(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const counted = (async () => {
    for (; !isOver; turns += 1) await nextTurn();
  })();
  await work().finally(() => {
    isOver = true;
  });
  await counted;
  return turns;
}

async function changes(from: TreeReader, to: TreeReader, signal?: AbortSignal) {
  const found: TreeChange[] = [];
  const sameContent = () => 'unknown' as const;
  const request = { from, to, sameContent, mtimes: false, ...(signal ? { signal } : {}) };
  for await (const change of compareTrees(request)) found.push(change);
  return found;
}

const opened = (path: string) => openDirectoryTree(path, 'live');

function changeLastByte(path: string): void {
  const bytes = readFileSync(path);
  bytes[LONG_BYTES - 1] = 0;
  writeFileSync(path, bytes);
}

const hasBytesOf = (path: string): boolean =>
  readFileSync(join(live, 'long')).equals(readFileSync(path));

describe('comparing', () => {
  it('two that are equal', async () => {
    using from = opened(live);
    using to = opened(was);
    const turns = await turnsOf(async () => expect(await changes(from, to)).toEqual([]));
    expect(turns).toBeGreaterThan(TURNS_MIN);
  });

  it('two that differ in their last byte, found all the same', async () => {
    changeLastByte(join(live, 'long'));
    using from = opened(live);
    using to = opened(was);
    expect(await changes(from, to)).toMatchObject([{ path: 'long', kind: 'modified' }]);
  });

  it('is given up in the middle of one', async () => {
    using from = opened(live);
    using to = opened(was);
    const leave = new AbortController();
    const comparing = changes(from, to, leave.signal);
    const refused = expect(comparing).rejects.toMatchObject({ code: 'INTERRUPTED' });
    leave.abort();
    await refused;
  });
});

describe('going back', () => {
  it('to one that was changed, from a tree', async () => {
    changeLastByte(join(live, 'long'));
    const turns = await turnsOf(async () => await apply());
    expect(turns).toBeGreaterThan(TURNS_MIN);
    expect(hasBytesOf(join(was, 'long'))).toBe(true);
  });

  it('is given up in the middle of one: what is there stays, and nothing is left beside it', async () => {
    changeLastByte(join(live, 'long'));
    const kept = join(directory, 'kept');
    copyFileSync(join(live, 'long'), kept);
    const leave = new AbortController();
    const onStep = (label: string): void => {
      if (label.includes('write beside')) leave.abort();
    };
    await expect(apply({ signal: leave.signal, onStep })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    expect(readdirSync(live)).toEqual(['long']);
    expect(hasBytesOf(kept)).toBe(true);
  });
});

async function apply(more: { signal?: AbortSignal; onStep?: (label: string) => void } = {}) {
  using source = openDirectoryTree(was, 'live');
  source.reflink = 'never';
  await applyTree({ livePath: live, source, sameContent: () => 'unknown', ...more });
}

describe('a snapshot of the store', () => {
  const ref = { id: 'ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3' as WorkspaceId };

  it('is compared and given back beside others', async () => {
    const backend = createStoreBackend();
    const at = { ...ref, path: live, poolRoot: join(directory, 'pool') };
    mkdirSync(at.poolRoot);
    await backend.initWorkspace(at, {});
    await backend.createSnapshot(at, SNAPSHOT);
    rmSync(join(live, 'long'));
    const turns = await turnsOf(async () => {
      using source = await backend.openTree(at, SNAPSHOT);
      await applyTree({ livePath: live, source, sameContent: () => 'unknown' });
    });
    expect(turns).toBeGreaterThan(TURNS_MIN);
    const same = await turnsOf(async () => {
      using from = await backend.openTree(at, SNAPSHOT);
      using to = opened(live);
      expect(await changes(from, to)).toEqual([]);
    });
    expect(same).toBeGreaterThan(TURNS_MIN);
    await backend[Symbol.asyncDispose]();
  });
});
