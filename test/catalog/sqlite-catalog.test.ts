import { copyFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSqliteCatalog } from '../../src/catalog/open-catalog.ts';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import type { Command } from '../../src/core/command.ts';
import type { GhostsnapError } from '../../src/core/errors.ts';
import type { Event } from '../../src/core/event.ts';
import { emptyState, encodeState, foldEvents } from '../../src/core/fold-event.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import type { WorkspaceState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import type { Catalog } from '../../src/engine/ports.ts';
import {
  Journal,
  NO_LABELS,
  open,
  type TemporaryDirectory,
  temporaryDirectory,
  workspaceNumber,
} from './catalog-fixture.ts';

let directory: TemporaryDirectory;
let catalog: Catalog;
let journal: Journal;

beforeEach(() => {
  directory = temporaryDirectory();
  catalog = open(directory.file);
  journal = new Journal(catalog).init();
});

afterEach(() => {
  catalog[Symbol.dispose]();
  directory[Symbol.dispose]();
});

function errorOf(work: () => unknown): GhostsnapError {
  try {
    work();
  } catch (error) {
    return error as GhostsnapError;
  }
  throw new Error('nothing was thrown');
}

/** Decided and not committed. */
function eventOf(command: Command): { readonly event: Event; readonly state: WorkspaceState } {
  const result = step(journal.state, command, journal.nowMs);
  const [event] = result.ok ? result.events : [];
  if (!result.ok || event === undefined) throw new Error('the command gives no event');
  return { event, state: result.state };
}

function historyIds(): SnapshotId[] {
  return catalog.history(journal.workspace, 0, 1000).map(({ id }) => id);
}

describe('commit()', () => {
  it('keeps events, state and projections over a reopen, byte for byte', () => {
    const first = journal.snapshot({ label: 'first' });
    journal.turn('rollback', first, null);
    journal.decide({ type: 'pin-snapshot', id: first });
    const rows = catalog.listSnapshots(journal.workspace);
    catalog[Symbol.dispose]();
    catalog = open(directory.file);
    const events = catalog.events(journal.workspace, 0, 1000);
    expect(JSON.stringify(events)).toBe(JSON.stringify(journal.events));
    const folded = foldEvents(emptyState(journal.workspace), events);
    expect(encodeState(folded)).toBe(encodeState(journal.state));
    expect(catalog.loadState(journal.workspace)).toEqual(journal.state);
    expect(catalog.listSnapshots(journal.workspace)).toEqual(rows);
    expect(rows.map(({ pinned, label }) => ({ pinned, label }))).toEqual([
      { pinned: false, label: null },
      { pinned: true, label: 'first' },
    ]);
    expect(verifyCatalog({ file: directory.file })).toEqual([]);
  });

  it('writes nothing when the events do not follow the stored sequence', () => {
    const other = new Journal(catalog);
    journal.snapshot();
    const error = errorOf(() => other.snapshot());
    expect(error.code).toBe('WORKSPACE_BUSY');
    expect(catalog.loadState(journal.workspace)).toEqual(journal.state);
    expect(catalog.snapshotIds(journal.workspace)).toHaveLength(1);
    expect(catalog.events(journal.workspace, 0, 1000)).toEqual(journal.events);
  });

  it('writes nothing when the state is not the fold of the events', () => {
    const before = journal.state;
    const lying = { ...before, sequence: before.sequence + 1, snapshotCount: 7 };
    const { workspace } = journal;
    const head = { workspace, sequence: lying.sequence, atMs: 1 };
    const event = { ...head, type: 'workspace.rebound', path: '/moved' } as const;
    expect(() => catalog.commit(workspace, [event], lying, 'process-crash')).toThrow(
      'the state is the fold of the events',
    );
    expect(catalog.loadState(workspace)).toEqual(before);
    expect(catalog.workspaceRow(workspace)?.path).toBe('/w');
  });

  it('does not take a state that was rolled back for the one another writer stored in its place', () => {
    using alone = openSqliteCatalog({ file: directory.file });
    using other = open(directory.file);
    const { workspace } = journal;
    const lost = eventOf({ type: 'label-snapshot', id: journal.snapshot(), label: 'lost' });
    const together = [lost, lost].map(({ event, state }) => ({
      ...({ type: 'commit', workspace, events: [event], state } as const),
    }));
    expect(alone.tryWriteTogether(together, 'process-crash')).toBe(false);
    const elsewhere = new Journal(other);
    elsewhere.snapshot();
    expect(elsewhere.state.sequence).toBe(lost.state.sequence);
    expect(alone.loadState(workspace)).toEqual(elsewhere.state);
  });

  it('is LOCKED, and writes nothing, while another writer does not finish', async () => {
    const { DatabaseSync } = await import('node:sqlite');
    using hasty = open(directory.file, { busyTimeoutMs: 20 });
    const impatient = new Journal(hasty);
    using other = new DatabaseSync(directory.file);
    other.exec('BEGIN IMMEDIATE');
    const error = errorOf(() => impatient.snapshot());
    expect(error.code).toBe('LOCKED');
    other.exec('ROLLBACK');
    expect(hasty.loadState(journal.workspace)).toEqual(journal.state);
    impatient.snapshot();
  });

  it('takes names as they come: quotes, newlines, emoji, the empty path list', () => {
    const label = `it's "quoted" \u{1f47b} -- ; DROP TABLE events`;
    const id = journal.snapshot({ label });
    expect(catalog.findByLabel(journal.workspace, label)).toBe(id);
    expect(catalog.events(journal.workspace, 0, 1000)).toEqual(journal.events);
  });
});

describe('reads', () => {
  it('know nothing of an unknown workspace', () => {
    const unknown = workspaceNumber(99);
    expect(catalog.loadState(unknown)).toBeNull();
    expect(catalog.workspaceRow(unknown)).toBeNull();
    expect(catalog.listSnapshots(unknown)).toEqual([]);
    expect(catalog.events(unknown, 0, 10)).toEqual([]);
    expect(catalog.loadStamp(unknown)).toBe('');
    expect(catalog.listOperations(unknown, 10)).toEqual([]);
  });

  it('keep workspaces apart', () => {
    const other = new Journal(catalog, 2).init();
    const mine = journal.snapshot({ label: 'same' });
    const theirs = other.snapshot({ label: 'same' });
    expect(catalog.snapshotIds(journal.workspace)).toEqual([mine]);
    expect(catalog.snapshotIds(other.workspace)).toEqual([theirs]);
    expect(catalog.findByLabel(other.workspace, 'same')).toBe(theirs);
    expect(catalog.listWorkspaces().map((row) => row.workspace)).toEqual([
      journal.workspace,
      other.workspace,
    ]);
  });

  it('list newest first, from a snapshot on, so many', () => {
    const ids = Array.from({ length: 5 }, () => journal.snapshot());
    const listed = (query?: Parameters<Catalog['listSnapshots']>[1]): SnapshotId[] =>
      catalog.listSnapshots(journal.workspace, query).map((row) => row.id);
    expect(listed()).toEqual(ids.toReversed());
    expect(listed({ limit: 2 })).toEqual([ids[4], ids[3]]);
    expect(listed({ before: ids[3]!, limit: 2 })).toEqual([ids[2], ids[1]]);
    expect(catalog.snapshotIds(journal.workspace)).toEqual(ids);
  });

  it('find ids by prefix, in order, and the newest of a label', () => {
    const ids = Array.from({ length: 4 }, () => journal.snapshot({ label: 'again' }));
    const find = (prefix: string, limit = 10): readonly SnapshotId[] =>
      catalog.findByPrefix(journal.workspace, prefix, limit);
    expect(find(ids[2]!)).toEqual([ids[2]]);
    expect(find(ids[2]!.slice(0, 9))).toEqual(ids);
    expect(find('ghost_', 2)).toEqual(ids.slice(0, 2));
    expect(find('ghost_7')).toEqual([]);
    expect(catalog.findByLabel(journal.workspace, 'again')).toBe(ids[3]);
    journal.decide({ type: 'label-snapshot', id: ids[3]!, label: null });
    expect(catalog.findByLabel(journal.workspace, 'again')).toBe(ids[2]);
    expect(catalog.findByLabel(journal.workspace, 'aga')).toBeNull();
  });

  it('give operations newest first, with how they ended', () => {
    const target = journal.snapshot();
    journal.turn('restore', target, null);
    journal.startTurn('rollback', target, null);
    expect(catalog.listOperations(journal.workspace, 1)[0]).toMatchObject({
      ...{ kind: 'rollback', outcome: 'in-flight', endedAtMs: null, changes: null },
      ...{ paths: ['a\\x0ab'], token: 'opaque', target },
    });
    journal.decide({ type: 'abandon-turn', reason: 'test' });
    const outcomes = catalog.listOperations(journal.workspace, 10).map((row) => row.outcome);
    expect(outcomes).toEqual(['abandoned', 'completed']);
    expect(catalog.listOperations(journal.workspace, 10)[1]?.changes).toBe(3);
  });

  it('remember the stamp, for a workspace that exists', () => {
    catalog.saveStamp(journal.workspace, 'st-1');
    expect(catalog.loadStamp(journal.workspace)).toBe('st-1');
    catalog.saveStamp(workspaceNumber(50), 'nobody');
    expect(catalog.loadStamp(workspaceNumber(50))).toBe('');
  });

  it('follow a workspace that moved, and forget the snapshots of one that was destroyed', () => {
    journal.snapshot();
    journal.decide({ type: 'rebind-workspace', path: '/moved' });
    expect(catalog.workspaceRow(journal.workspace)).toEqual({
      ...{ workspace: journal.workspace, path: '/moved', backend: 'store', status: 'active' },
    });
    journal.decide({ type: 'start-destroy', random: new Uint8Array(10), tree: 'kept' });
    journal.decide({ type: 'complete-destroy' });
    expect(catalog.workspaceRow(journal.workspace)?.status).toBe('destroyed');
    expect(catalog.snapshotIds(journal.workspace)).toEqual([]);
    expect(historyIds()).toEqual([]);
  });

  it('see each commit of a writer while it works, without waiting for it', () => {
    using reader = open(directory.file, { access: 'readonly' });
    expect(reader.snapshotIds(journal.workspace)).toEqual([]);
    const id = journal.snapshot();
    expect(reader.snapshotIds(journal.workspace)).toEqual([id]);
    expect(errorOf(() => new Journal(reader).snapshot()).code).toBe('NOT_PERMITTED');
    expect(reader.loadState(journal.workspace)).toEqual(journal.state);
  });
});

describe('the undo history', () => {
  it('is cut and continued by a snapshot after an undo', () => {
    const [a, b] = [journal.snapshot(), journal.snapshot()];
    const before = journal.turn('undo', a, 0);
    expect(historyIds()).toEqual([a, b, before]);
    const c = journal.snapshot();
    expect(historyIds()).toEqual([a, c]);
    expect(journal.state).toMatchObject({ cursor: 2, historyLength: 2 });
  });

  it('holds where a rollback came from and where it went', () => {
    const a = journal.snapshot();
    journal.snapshot();
    const before = journal.turn('rollback', a, null);
    expect(historyIds().slice(-2)).toEqual([before, a]);
  });

  it('loses deleted and lost snapshots without moving the others', () => {
    const ids = Array.from({ length: 4 }, () => journal.snapshot());
    journal.delete([ids[1]!]);
    journal.decide({ type: 'snapshot-missing', id: ids[2]! });
    expect(catalog.history(journal.workspace, 0, 10)).toEqual([
      { position: 0, id: ids[0] },
      { position: 3, id: ids[3] },
    ]);
    expect(catalog.history(journal.workspace, 1, 3)).toEqual([]);
  });

  it('takes a snapshot that was lost and is found again without its old label', () => {
    const id = journal.snapshot({ label: 'gone' });
    journal.decide({ type: 'snapshot-missing', id });
    journal.decide({ type: 'snapshot-taken', id, role: 'adopted', ...NO_LABELS });
    expect(catalog.snapshot(journal.workspace, id)).toMatchObject({ role: 'adopted', label: null });
    expect(verifyCatalog({ file: directory.file })).toEqual([]);
  });
});

describe('a power loss', () => {
  it('leaves an older, sound catalog when the log since the last checkpoint is gone', () => {
    journal.snapshot();
    // Closing writes the log into the database: what comes after it is in the new log alone.
    catalog[Symbol.dispose]();
    catalog = open(directory.file);
    const durable = journal.state;
    const later = new Journal(catalog);
    later.snapshot();
    expect(readdirSync(directory.path)).toContain('catalog.db-wal');
    const copy = join(directory.path, 'after.db');
    copyFileSync(directory.file, copy);
    expect(verifyCatalog({ file: copy })).toEqual([]);
    using survived = open(copy, { reserveBytes: 0 });
    expect(survived.loadState(journal.workspace)).toEqual(durable);
  });
});
