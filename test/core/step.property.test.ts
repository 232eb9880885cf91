import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../src/core/command.ts';
import type { Event } from '../../src/core/event.ts';
import { emptyState, encodeState, foldEvents } from '../../src/core/fold-event.ts';
import { nextUlid, type SnapshotId, snapshotId, workspaceId } from '../../src/core/ids.ts';
import { turnInFlight, type WorkspaceState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';

const WORKSPACE = workspaceId(nextUlid('', 1, new Uint8Array(10)));
const NO_LABELS = { label: null, tool: null, session: null, call: null };

/** What a caller might do, as data; `run` turns it into commands that fit the state. */
const move = fc.record({
  kind: fc.constantFrom(
    'snapshot',
    'rollback',
    'restore',
    'undo',
    'redo',
    'delete',
    'delete-during',
    'fail',
    'lost',
  ),
  pick: fc.nat(),
  elapsedMs: fc.integer({ min: -5, max: 50 }),
  random: fc.uint8Array({ minLength: 10, maxLength: 10 }),
});

interface Run {
  state: WorkspaceState;
  events: Event[];
  ids: SnapshotId[];
  nowMs: number;
}

function start(): Run {
  const run: Run = { state: emptyState(WORKSPACE), events: [], ids: [], nowMs: 1_000_000 };
  take(run, { type: 'create-workspace', path: '/w', backend: 'memory', pool: 'p' });
  take(run, { type: 'activate-workspace' });
  return run;
}

function take(run: Run, command: Command): boolean {
  const before = encodeState(run.state);
  const result = step(run.state, command, run.nowMs);
  expect(encodeState(run.state)).toBe(before);
  if (!result.ok) return false;
  run.state = result.state;
  run.events.push(...result.events);
  return true;
}

function snapshot(run: Run, role: 'ordinary' | 'precautionary', random: Uint8Array): SnapshotId {
  const result = step(run.state, { type: 'take-snapshot', random }, run.nowMs);
  if (!result.ok) throw new Error(result.conflict.message);
  const [effect] = result.effects;
  if (effect?.type !== 'create-snapshot') throw new Error('no effect');
  for (const id of run.ids) expect(effect.id > id).toBe(true);
  take(run, { type: 'snapshot-taken', id: effect.id, role, ...NO_LABELS });
  run.ids.push(effect.id);
  return effect.id;
}

function play(
  run: Run,
  m: { kind: string; pick: number; elapsedMs: number; random: Uint8Array },
): void {
  run.nowMs = Math.max(0, run.nowMs + m.elapsedMs);
  const target = run.ids[m.pick % Math.max(1, run.ids.length)];
  if (m.kind === 'snapshot' || target === undefined) {
    snapshot(run, 'ordinary', m.random);
    return;
  }
  if (m.kind === 'delete' || m.kind === 'lost') {
    if (m.kind === 'lost') take(run, { type: 'snapshot-missing', id: target });
    else {
      take(run, {
        type: 'start-delete',
        random: m.random,
        ids: [target],
        pinnedIds: [],
        rule: 'r',
      });
      take(run, { type: 'complete-delete', rule: 'r' });
    }
    run.ids = run.ids.filter((id) => id !== target);
    return;
  }
  const { historyLength } = run.state;
  const isWalk = m.kind === 'undo' || m.kind === 'redo';
  const cursor = isWalk ? m.pick % Math.max(1, historyLength) : null;
  const precautionary = snapshot(run, 'precautionary', m.random);
  const isRollback = m.kind === 'fail' || m.kind === 'delete-during';
  const kind = isRollback ? 'rollback' : (m.kind as 'rollback' | 'restore' | 'undo' | 'redo');
  const mode = 'in-place';
  const turn = {
    random: m.random,
    kind,
    target,
    precautionary,
    mode,
    cursor,
    paths: [],
    token: '',
  };
  take(run, { type: 'start-turn', ...turn } as Command);
  if (m.kind === 'delete-during') deleteDuring(run, m.random);
  if (m.kind === 'fail') take(run, { type: 'abandon-turn', reason: 'x' });
  else take(run, { type: 'complete-turn', changes: 1, recovered: false });
}

/** Everything goes but what the turn in flight needs, one after the other. */
function deleteDuring(run: Run, random: Uint8Array): void {
  const turn = turnInFlight(run.state);
  if (turn === null) throw new Error('no turn');
  for (const id of [...run.ids]) {
    const isNeeded = id === turn.target || id === turn.precautionary;
    const begun = take(run, { type: 'start-delete', random, ids: [id], pinnedIds: [], rule: 'r' });
    expect(begun).toBe(!isNeeded);
    if (isNeeded) continue;
    expect(turnInFlight(run.state)).toEqual(turn);
    take(run, { type: 'complete-delete', rule: 'r' });
    expect(run.state.inFlight).toEqual(turn);
    run.ids = run.ids.filter((other) => other !== id);
  }
}

describe('step()', () => {
  it('gives events whose fold is its state, byte for byte, for any series of commands', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        const run = start();
        for (const m of moves) play(run, m);
        const replayed = foldEvents(emptyState(WORKSPACE), run.events);
        expect(encodeState(replayed)).toBe(encodeState(run.state));
        expect(run.state.snapshotCount).toBe(run.ids.length);
        expect(encodeState(run.state).length).toBeLessThan(1024);
      }),
    );
  });

  it('is a function: the same state, command and time give the same result', () => {
    const run = start();
    const command: Command = { type: 'take-snapshot', random: new Uint8Array(10).fill(7) };
    expect(step(run.state, command, 5)).toEqual(step(run.state, command, 5));
  });

  it('refuses a second operation while one is in flight, and changes nothing', () => {
    const run = start();
    const id = snapshot(run, 'ordinary', new Uint8Array(10));
    const random = new Uint8Array(10);
    expect(take(run, { type: 'start-delete', random, ids: [id], pinnedIds: [], rule: '' })).toBe(
      true,
    );
    const result = step(run.state, { type: 'start-destroy', random, tree: 'kept' }, run.nowMs);
    expect(result).toMatchObject({ ok: false, conflict: { code: 'OPERATION_IN_FLIGHT' } });
  });

  it('lets a turn in flight have what it needs, and anything else be deleted beside it', () => {
    const run = start();
    const [target, other] = [1, 2].map((byte) =>
      snapshot(run, 'ordinary', new Uint8Array(10).fill(byte)),
    ) as [SnapshotId, SnapshotId];
    const random = new Uint8Array(10);
    const precautionary = snapshot(run, 'precautionary', random);
    const how = { kind: 'rollback', mode: 'in-place', cursor: null, paths: [], token: '' } as const;
    take(run, { type: 'start-turn', random, target, precautionary, ...how });
    for (const needed of [target, precautionary]) {
      const ids = [other, needed];
      const result = step(
        run.state,
        { type: 'start-delete', random, ids, pinnedIds: [], rule: '' },
        1,
      );
      expect(result).toMatchObject({ ok: false, conflict: { code: 'SNAPSHOT_NEEDED' } });
    }
    const alone = { type: 'start-delete', random, ids: [other], pinnedIds: [], rule: '' } as const;
    expect(take(run, alone)).toBe(true);
    expect(take(run, { type: 'start-turn', random, target, precautionary, ...how })).toBe(false);
    expect(take(run, alone)).toBe(false);
  });

  it('refuses to delete a pinned snapshot', () => {
    const run = start();
    const id = snapshot(run, 'ordinary', new Uint8Array(10));
    const random = new Uint8Array(10);
    const command: Command = { type: 'start-delete', random, ids: [id], pinnedIds: [id], rule: '' };
    expect(step(run.state, command, 1)).toMatchObject({
      ok: false,
      conflict: { code: 'SNAPSHOT_PINNED' },
    });
  });

  it('refuses everything on a destroyed workspace', () => {
    const run = start();
    const random = new Uint8Array(10);
    take(run, { type: 'start-destroy', random, tree: 'kept' });
    take(run, { type: 'complete-destroy' });
    expect(step(run.state, { type: 'take-snapshot', random }, 1)).toMatchObject({
      ok: false,
      conflict: { code: 'WORKSPACE_DESTROYED' },
    });
  });

  it('never gives an id for a snapshot that sorts before a known one', () => {
    const run = start();
    const adopted = snapshotId(nextUlid('', 2 ** 40, new Uint8Array(10).fill(9)));
    take(run, { type: 'snapshot-taken', id: adopted, role: 'adopted', ...NO_LABELS });
    run.ids.push(adopted);
    expect(snapshot(run, 'ordinary', new Uint8Array(10)) > adopted).toBe(true);
  });
});
