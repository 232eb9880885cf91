/**
 * A thousand clients and a service that is down for half a minute: what it sees of them.
 *
 * Real clients over a transport in virtual time; each asks about once a second whatever happens, as agents
 * do. What counts is every attempt, in any window of a second.
 */
import { describe, expect, it } from 'vitest';
import { clientOver } from '../../../src/api/client/client.ts';
import { NoAnswer, type Transport } from '../../../src/api/client/transport.ts';
import { seeded, VirtualTime } from './virtual-time.ts';

const CLIENTS = 1000;
const INTERVAL_MS = 1000;
const WARM_MS = 60_000;
const DOWN_MS = 30_000;
const AFTER_MS = 60_000;
const LATENCY_MS = 5;

type Down = 'unreachable' | 'overloaded' | 'silent';

interface Seen {
  /** Attempts in each second. */
  readonly perSecond: readonly number[];
  readonly repeats: number;
  readonly answered: number;
  readonly failed: number;
}

async function runHerd(down: Down): Promise<Seen> {
  const time = new VirtualTime();
  const random = seeded(7);
  const perSecond: number[] = [];
  const keys = new Set<string>();
  let repeats = 0;
  const isDown = (): boolean => time.nowMs >= WARM_MS && time.nowMs < WARM_MS + DOWN_MS;
  const wait = (ms: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    time.after(ms, resolve);
    return promise;
  };
  const transport: Transport = {
    send: async ({ headers }) => {
      const second = Math.floor(time.nowMs / 1000);
      perSecond[second] = (perSecond[second] ?? 0) + 1;
      const key = headers['idempotency-key'] ?? '';
      if (keys.has(key)) repeats += 1;
      keys.add(key);
      await wait(LATENCY_MS);
      if (!isDown()) return { status: 200, headers: {}, body: Buffer.from('{}') };
      if (down === 'unreachable') throw new NoAnswer('refused', { begun: 'never' });
      if (down === 'silent') {
        await wait(2000);
        throw new NoAnswer('reset', { begun: 'perhaps' });
      }
      const problem = { code: 'OVERLOADED', detail: 'Busy.', retryable: true, data: {} };
      const body = Buffer.from(JSON.stringify(problem));
      return { status: 503, headers: { 'retry-after': '2' }, body };
    },
    stream: () => Promise.reject(new Error('not asked for')),
    close: async () => undefined,
  };
  let made = 0;
  let answered = 0;
  let failed = 0;
  for (let n = 0; n < CLIENTS; n += 1) {
    const newKey = (): string => {
      made += 1;
      return `key-${made}`;
    };
    const ports = { transport, random, newKey, nowMs: () => time.nowMs, after: time.after };
    const client = clientOver(ports, 30_000);
    const ask = (): void => {
      time.after(INTERVAL_MS * (0.5 + random()), ask);
      client.undo({ workspace: 'ws_01' as never }).then(
        () => {
          answered += 1;
        },
        () => {
          failed += 1;
        },
      );
    };
    time.after(random() * INTERVAL_MS, ask);
  }
  await time.pass(WARM_MS + DOWN_MS + AFTER_MS);
  return { perSecond, repeats, answered, failed };
}

describe('1,000 clients, the service down for 30 s', () => {
  it.each(['unreachable', 'overloaded', 'silent'] as const)(
    '%s: never more than 1.2 times',
    async (down) => {
      const { perSecond, repeats, answered, failed } = await runHerd(down);
      const warm = perSecond.slice(10, WARM_MS / 1000);
      const steady = warm.reduce((sum, count) => sum + count, 0) / warm.length;
      const worst = Math.max(...perSecond.slice(10));
      console.log(
        `${down}: steady ${steady.toFixed(0)}/s, worst second ${worst}, ${repeats} repeats`,
      );
      expect(worst).toBeLessThanOrEqual(steady * 1.2);
      // It does repeat, and when the service is back nobody is left out.
      expect(repeats).toBeGreaterThan(CLIENTS);
      expect(answered).toBeGreaterThan(steady * ((WARM_MS + AFTER_MS) / 1000) * 0.95);
      expect(failed).toBeGreaterThan(0);
    },
  );
});
