import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../src/core/command.ts';
import type { Event } from '../../src/core/event.ts';
import { emptyState, encodeState, foldEvents } from '../../src/core/fold-event.ts';
import { nextUlid, workspaceId } from '../../src/core/ids.ts';
import { CALLS_IN_FLIGHT_MAX } from '../../src/core/limits.ts';
import type { WorkspaceState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';

const WORKSPACE = workspaceId(nextUlid('', 1, new Uint8Array(10)));
const RANDOM = new Uint8Array(10).fill(1);

interface Run {
  state: WorkspaceState;
  readonly events: Event[];
  nowMs: number;
}

function start(): Run {
  const run: Run = { state: emptyState(WORKSPACE), events: [], nowMs: 1_000_000 };
  take(run, { type: 'create-workspace', path: '/w', backend: 'memory', pool: 'p' });
  take(run, { type: 'activate-workspace' });
  return run;
}

function take(run: Run, command: Command): readonly Event[] {
  const result = step(run.state, command, run.nowMs);
  if (!result.ok) throw new Error(result.conflict.message);
  run.state = result.state;
  run.events.push(...result.events);
  return result.events;
}

function begin(run: Run, session: string, key = 'k'): string {
  const events = take(run, {
    ...{ type: 'begin-call', random: RANDOM, session, prompt: null, tool: 'Bash', input: '{}' },
    ...{ key, snapshot: null, readOnly: false, unprotected: null },
  });
  const last = events.at(-1);
  if (last?.type !== 'call.begun') throw new Error('no call');
  return last.call;
}

const move = fc.record({
  kind: fc.constantFrom('begin', 'begin', 'begin', 'end', 'prompt', 'end-session', 'start-session'),
  session: fc.constantFrom('a', 'b', 'a/sub'),
  pick: fc.nat(),
  elapsedMs: fc.integer({ min: -5, max: 50 }),
});

interface Move {
  readonly kind: string;
  readonly session: string;
  readonly pick: number;
  readonly elapsedMs: number;
}

function play(run: Run, { kind, session, pick, elapsedMs }: Move): void {
  run.nowMs = Math.max(0, run.nowMs + elapsedMs);
  const { calls } = run.state;
  if (kind === 'begin') begin(run, session, `k${pick % 3}`);
  if (kind === 'prompt') take(run, { type: 'submit-prompt', random: RANDOM, session, text: 'x' });
  if (kind === 'end-session') take(run, { type: 'end-session', session });
  if (kind === 'start-session') {
    take(run, { type: 'start-session', session, harness: 'h', parent: null });
  }
  const chosen = calls[pick % Math.max(1, calls.length)];
  if (kind === 'end' && chosen !== undefined) {
    take(run, { type: 'end-call', call: chosen.call, outcome: 'ok' });
  }
}

describe('tool calls', () => {
  it('each begin once and end at most once, in any order of reports, and replay gives the state', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 300 }), (moves) => {
        const run = start();
        for (const m of moves) play(run, m);
        const open = new Set<string>();
        let last = '';
        for (const event of run.events) {
          if (event.type === 'call.begun') {
            expect(event.overlaps).toEqual([...open]);
            expect(event.call.slice(5) > last).toBe(true);
            last = event.call.slice(5);
            open.add(event.call);
          }
          if (event.type === 'call.ended') expect(open.delete(event.call)).toBe(true);
          expect(open.size).toBeLessThanOrEqual(CALLS_IN_FLIGHT_MAX);
        }
        expect(run.state.calls.map(({ call }) => call)).toEqual([...open]);
        const replayed = foldEvents(emptyState(WORKSPACE), run.events);
        expect(encodeState(replayed)).toBe(encodeState(run.state));
      }),
      { numRuns: 200 },
    );
  });

  it('past the bound the oldest ends as unknown, and the state stays small', () => {
    const run = start();
    const calls = Array.from({ length: CALLS_IN_FLIGHT_MAX + 3 }, () => begin(run, 's'.repeat(64)));
    const ended = run.events.filter((event) => event.type === 'call.ended');
    expect(ended.map(({ call, outcome }) => [call, outcome])).toEqual(
      calls.slice(0, 3).map((call) => [call, 'unknown']),
    );
    expect(run.state.calls).toHaveLength(CALLS_IN_FLIGHT_MAX);
    expect(encodeState(run.state).length).toBeLessThan(12_000);
  });

  it('end as unknown with the next prompt or the end of their session, other sessions go on', () => {
    const run = start();
    const [a, b, c] = [begin(run, 'a'), begin(run, 'b'), begin(run, 'a')];
    const prompted = take(run, { type: 'submit-prompt', random: RANDOM, session: 'a', text: 'x' });
    expect(prompted.map((e) => (e.type === 'call.ended' ? e.call : e.type))).toEqual([
      ...[a, c, 'prompt.submitted'],
    ]);
    expect(run.state.calls.map(({ call }) => call)).toEqual([b]);
    take(run, { type: 'end-session', session: 'b' });
    expect(run.state.calls).toEqual([]);
  });

  it('that are not in flight cannot end: a conflict, and nothing changes', () => {
    const run = start();
    const call = begin(run, 'a');
    const command = { type: 'end-call', call: call as never, outcome: 'ok' } as const;
    take(run, command);
    expect(step(run.state, command, 1)).toMatchObject({
      ok: false,
      conflict: { code: 'CALL_NOT_FOUND' },
    });
  });
});
