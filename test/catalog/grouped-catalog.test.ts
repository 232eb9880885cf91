import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openGroupedCatalog } from '../../src/catalog/grouped-catalog.ts';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import type { Catalog } from '../../src/engine/ports.ts';
import {
  Journal,
  NO_LABELS,
  open,
  type TemporaryDirectory,
  temporaryDirectory,
} from './catalog-fixture.ts';

let directory: TemporaryDirectory;
let catalog: Catalog;
/** Another connection: what is on disk. */
let onDisk: Catalog;
let journal: Journal;

beforeEach(async () => {
  directory = temporaryDirectory();
  catalog = openGroupedCatalog({ file: directory.file });
  onDisk = open(directory.file, { access: 'readonly' });
  journal = new Journal(catalog).init();
  await catalog.settle(journal.workspace);
});

afterEach(() => {
  onDisk[Symbol.dispose]();
  catalog[Symbol.dispose]();
  directory[Symbol.dispose]();
});

function sequenceOnDisk(of: Journal): number {
  return onDisk.loadState(of.workspace)?.sequence ?? 0;
}

describe('a commit', () => {
  it('is known at once and on disk once it has settled', async () => {
    const before = sequenceOnDisk(journal);
    journal.snapshot();
    expect(catalog.loadState(journal.workspace)).toEqual(journal.state);
    expect(sequenceOnDisk(journal)).toBe(before);
    await catalog.settle(journal.workspace);
    expect(sequenceOnDisk(journal)).toBe(journal.state.sequence);
    expect(catalog.settle(journal.workspace)).toBeNull();
  });

  it('shares a group with those of other workspaces', async () => {
    const others = Array.from({ length: 20 }, (_, index) => new Journal(catalog, index + 2).init());
    for (const other of others) other.snapshot();
    const [first] = others;
    await catalog.settle(first!.workspace);
    // One message, one transaction: the last has landed with the first.
    expect(catalog.settle(others.at(-1)!.workspace)).toBeNull();
    for (const other of others) expect(sequenceOnDisk(other)).toBe(other.state.sequence);
  });

  it('settles while this thread blocks', () => {
    journal.snapshot();
    catalog.settleSync(journal.workspace);
    expect(sequenceOnDisk(journal)).toBe(journal.state.sequence);
  });

  it('is seen by every question asked after it', () => {
    const id = journal.snapshot({ label: 'asked for' });
    expect(catalog.findByLabel(journal.workspace, 'asked for')).toBe(id);
    const next = journal.snapshot();
    expect(catalog.snapshotIds(journal.workspace)).toEqual([id, next]);
    catalog.saveStamp(journal.workspace, 'after both');
    expect(catalog.loadStamp(journal.workspace)).toBe('after both');
  });

  it('is on disk after the catalog was closed', () => {
    journal.snapshot();
    catalog[Symbol.dispose]();
    expect(sequenceOnDisk(journal)).toBe(journal.state.sequence);
    expect(verifyCatalog({ file: directory.file })).toEqual([]);
  });
});

describe('a commit that cannot be', () => {
  it('fails alone: the others of its group land', async () => {
    const other = new Journal(catalog, 2).init();
    await catalog.settle(other.workspace);
    const stale = new Journal(catalog);
    stale.snapshot();
    await catalog.settle(stale.workspace);
    // `journal` does not know of the snapshot that `stale` committed.
    journal.snapshot();
    other.snapshot();
    const landed = catalog.settle(other.workspace);
    await expect(catalog.settle(journal.workspace)).rejects.toMatchObject({
      code: 'WORKSPACE_BUSY',
    });
    await landed;
    expect(sequenceOnDisk(other)).toBe(other.state.sequence);
    expect(sequenceOnDisk(stale)).toBe(stale.state.sequence);
    expect(catalog.loadState(stale.workspace)).toEqual(stale.state);
  });

  it('takes what followed it with it, and is told once', async () => {
    const stale = new Journal(catalog);
    stale.snapshot();
    await catalog.settle(stale.workspace);
    journal.snapshot();
    const id = journal.snapshot();
    expect(() => catalog.settleSync(journal.workspace)).toThrow(/meanwhile/);
    expect(catalog.settle(journal.workspace)).toBeNull();
    expect(sequenceOnDisk(journal)).toBe(stale.state.sequence);
    expect(id).toBe(journal.state.head);
  });

  it('is over once it was told: what is decided on what is there lands', async () => {
    const stale = new Journal(catalog);
    stale.snapshot();
    await catalog.settle(stale.workspace);
    journal.snapshot();
    await expect(catalog.settle(journal.workspace)).rejects.toThrow(/meanwhile/);
    stale.snapshot();
    await catalog.settle(stale.workspace);
    expect(sequenceOnDisk(stale)).toBe(stale.state.sequence);
  });

  it('that breaks an invariant ends the thread, and every later commit fails', async () => {
    const { events, state, workspace } = journal;
    const sequence = state.sequence + 1;
    const event = { ...events[0]!, ...{ sequence, type: 'workspace.activated' as const } };
    catalog.commit(workspace, [event], { ...state, sequence: 99 }, 'process-crash');
    await expect(catalog.settle(workspace)).rejects.toThrow(/Invariant violated/);
    expect(() =>
      journal.decide({
        type: 'snapshot-taken',
        id: journal.nextId(),
        role: 'ordinary',
        ...NO_LABELS,
      }),
    ).toThrow(/Invariant violated/);
    expect(sequenceOnDisk(journal)).toBe(state.sequence);
  });
});
