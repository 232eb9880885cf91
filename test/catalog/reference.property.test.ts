/**
 * The SQLite catalog against the simulator's catalog in memory: whatever is decided, both give the same
 * answers to every question.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openGroupedCatalog } from '../../src/catalog/grouped-catalog.ts';
import { rebuildProjections } from '../../src/catalog/rebuild-projections.ts';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import type { Catalog } from '../../src/engine/ports.ts';
import { SimCatalog, SimCatalogStore } from '../sim/sim-catalog.ts';
import { FAULTLESS } from '../sim/sim-process.ts';
import {
  Journal,
  type JournalCatalog,
  NO_LABELS,
  open,
  temporaryDirectory,
} from './catalog-fixture.ts';

const KINDS = ['rollback', 'restore', 'undo', 'redo'] as const;
const LABELS = ['', 'a', 'b'];
const SESSIONS = ['s1', 's2', 's1/agent'];
const RANDOM = new Uint8Array(10).fill(3);

const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('snapshot' as const), at: fc.nat() }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('turn', 'abandon', 'delete', 'lose', 'find', 'pin', 'label', 'reopen'),
      at: fc.nat(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('session', 'end-session', 'prompt', 'begin', 'end', 'measure', 'stray'),
      at: fc.nat(),
    }),
  },
);

type Action = { readonly do: string; readonly at: number };

/** Two catalogs behind one: what is written goes to both. */
function both(first: Catalog, second: Catalog): JournalCatalog {
  return {
    loadState: (...args: Parameters<Catalog['loadState']>) => first.loadState(...args),
    commit: (...args: Parameters<Catalog['commit']>) => {
      first.commit(...args);
      second.commit(...args);
    },
  };
}

function act(journal: Journal, reference: Catalog, lost: SnapshotId[], action: Action): void {
  actAsAgent(journal, reference, action);
  const ids = reference.snapshotIds(journal.workspace);
  const id = ids[action.at % Math.max(1, ids.length)];
  const label = LABELS[action.at % LABELS.length] ?? '';
  const kind = KINDS[action.at % KINDS.length] ?? 'rollback';
  const { cursor, historyLength } = journal.state;
  const isWalk = kind === 'undo' || kind === 'redo';
  const to = isWalk ? action.at % Math.max(1, Math.min(cursor + 1, historyLength)) : null;
  if (action.do === 'snapshot') journal.snapshot(label === '' ? {} : { label });
  if (id === undefined) return;
  if (action.do === 'turn' && (to === null || historyLength > 0)) journal.turn(kind, id, to);
  if (action.do === 'abandon' && (to === null || historyLength > 0)) {
    journal.startTurn(kind, id, to);
    journal.decide({ type: 'abandon-turn', reason: 'property' });
  }
  if (action.do === 'delete') journal.delete(ids.slice(0, (action.at % 4) + 1));
  if (action.do === 'lose') {
    journal.decide({ type: 'snapshot-missing', id });
    lost.push(id);
  }
  if (action.do === 'find') {
    const found = lost.pop();
    if (found === undefined) return;
    journal.decide({ type: 'snapshot-taken', id: found, role: 'adopted', ...NO_LABELS });
  }
  if (action.do === 'pin') {
    const pinned = reference.snapshot(journal.workspace, id)?.pinned === true;
    journal.decide({ type: pinned ? 'unpin-snapshot' : 'pin-snapshot', id });
  }
  if (action.do === 'label') {
    journal.decide({ type: 'label-snapshot', id, label: label === '' ? null : label });
  }
}

function actAsAgent(journal: Journal, reference: Catalog, action: Action): void {
  const session = SESSIONS[action.at % SESSIONS.length] ?? '';
  const { calls, head } = journal.state;
  const [call] = reference.listCalls(journal.workspace, { limit: (action.at % 5) + 1 }).slice(-1);
  switch (action.do) {
    case 'session':
      journal.decide({ type: 'start-session', session, harness: 'test', parent: null });
      return;
    case 'end-session':
      journal.decide({ type: 'end-session', session });
      return;
    case 'prompt':
      journal.decide({ type: 'submit-prompt', random: RANDOM, session, text: 'do it' });
      return;
    case 'begin':
      journal.decide({
        ...{ type: 'begin-call', random: RANDOM, session, tool: 'Bash', input: '{}' },
        ...{ prompt: null, key: `k${action.at % 3}`, snapshot: head, unprotected: null },
        readOnly: action.at % 4 === 0,
      });
      return;
    case 'end': {
      const ended = calls[action.at % Math.max(1, calls.length)];
      if (ended === undefined) return;
      journal.decide({ type: 'end-call', call: ended.call, outcome: 'failed' });
      return;
    }
    case 'measure':
      if (call === undefined) return;
      journal.decide({
        ...{ type: 'measure-call', call: call.call, added: action.at, deleted: 2, modified: 3 },
        digest: 'abc',
      });
      journal.decide({
        ...{ type: 'judge-call', call: call.call, action: 'warn', operation: null },
        findings: [{ rule: 'deleted-files', action: 'warn', message: `It deleted ${action.at}.` }],
      });
      return;
    case 'stray':
      if (call === undefined || head === null) return;
      journal.decide({ type: 'note-unattributed', snapshot: head, since: call.call });
  }
}

/** Everything that can be asked about a workspace. */
function answers(catalog: Catalog, journal: Journal): unknown {
  const { workspace } = journal;
  const ids = catalog.snapshotIds(workspace);
  const middle = ids[ids.length >> 1];
  return {
    state: catalog.loadState(workspace),
    ids,
    all: catalog.listSnapshots(workspace),
    some: catalog.listSnapshots(workspace, { limit: 3 }),
    before: middle === undefined ? [] : catalog.listSnapshots(workspace, { before: middle }),
    prefixed: catalog.findByPrefix(workspace, middle?.slice(0, 16) ?? 'ghost_', 5),
    labelled: ['a', 'b', 'c'].map((label) => catalog.findByLabel(workspace, label)),
    history: catalog.history(workspace, 0, 1000),
    part: catalog.history(workspace, 2, 5),
    // The one in memory does not keep the count of changes.
    operations: catalog.listOperations(workspace, 100).map((row) => ({ ...row, changes: null })),
    sessions: catalog.listSessions(workspace, 100),
    session: catalog.session(workspace, 's2'),
    prompts: catalog.listPrompts(workspace, {}),
    newestPrompt: catalog.listPrompts(workspace, { session: 's1', limit: 1 }),
    calls: catalog.listCalls(workspace),
    callsOf: catalog.listCalls(workspace, { session: 's2', limit: 2 }),
    unattributed: catalog.listUnattributed(workspace, 100),
    events: JSON.stringify(catalog.events(workspace, 0, 10_000)),
    page: catalog.events(workspace, 3, 2),
  };
}

const CATALOGS = [
  { name: 'that commits where it stands', openFile: openAlone, numRuns: 40 },
  { name: 'that commits in groups', openFile: openGrouped, numRuns: 8 },
];

function openAlone(file: string): Catalog {
  return open(file, { reserveBytes: 0 });
}

function openGrouped(file: string): Catalog {
  return openGroupedCatalog({ file });
}

describe.each(CATALOGS)('a catalog $name', ({ openFile, numRuns }) => {
  it('answers as its model in memory, also after a reopen and a rebuild', () => {
    const actions = fc.array(action, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(actions, (steps) => {
        using directory = temporaryDirectory();
        const { file } = directory;
        const model = new SimCatalog(new SimCatalogStore(), FAULTLESS);
        let catalog = openFile(file);
        try {
          let writer = new Journal(both(catalog, model)).init();
          const lost: SnapshotId[] = [];
          for (const step of steps) {
            if (step.do !== 'reopen') {
              act(writer, model, lost, step);
              continue;
            }
            catalog[Symbol.dispose]();
            catalog = openFile(file);
            const { nowMs } = writer;
            writer = new Journal(both(catalog, model));
            writer.nowMs = nowMs;
          }
          expect(answers(catalog, writer)).toEqual(answers(model, writer));
          expect(verifyCatalog({ file })).toEqual([]);
          rebuildProjections({ file });
          expect(answers(catalog, writer)).toEqual(answers(model, writer));
        } finally {
          catalog[Symbol.dispose]();
        }
      }),
      { numRuns },
    );
  });
});
