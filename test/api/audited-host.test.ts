import { describe, expect, it } from 'vitest';
import type { AuditTurn } from '../../src/api/access/audit-log.ts';
import { auditTurns } from '../../src/api/audited-host.ts';
import type { Principal } from '../../src/api/principal.ts';
import { OPERATIONS } from '../../src/api/schema/operations.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import { parseTraceContext } from '../../src/core/trace-context.ts';
import type { CallContext } from '../../src/service/call-context.ts';
import type { ServiceHost } from '../../src/service/host.ts';

const OPERATOR: Principal = { id: 'spiffe://a.example/x', tenant: 'blue', role: 'operator' };
const CONTEXT: CallContext = {
  ...{ trace: undefined, deadline: undefined, idempotencyKey: 'k' },
  signal: new AbortController().signal,
};
const WORKSPACE = 'ws_01JDSB0000000000000000000A';

/** A host that notes what it is asked, and the log's lines among it, in their order. */
function world(fail: 'nothing' | 'turn' | 'log' = 'nothing'): {
  readonly host: ServiceHost;
  readonly order: string[];
  readonly lost: unknown[];
} {
  const order: string[] = [];
  const lost: unknown[] = [];
  const answer = (name: string) => async () => {
    order.push(name);
    if (fail === 'turn') throw new GhostsnapError('SNAPSHOT_NOT_FOUND', 'No.');
    return { operation: 'op_1' };
  };
  const plain = Object.fromEntries(Object.keys(OPERATIONS).map((name) => [name, answer(name)]));
  const host = { ...plain, tenantOf: () => 'blue', followEvents: answer('followEvents') };
  const turn = async ({ event, turn: id, code, target }: AuditTurn): Promise<void> => {
    if (fail === 'log') throw new GhostsnapError('IO', 'Full.');
    order.push([event, id, code, target].filter((part) => part !== undefined).join(' '));
  };
  const audited = auditTurns(host as unknown as ServiceHost, { turn }, (error) => lost.push(error));
  return { host: audited, order, lost };
}

const rollback = (host: ServiceHost): Promise<unknown> =>
  host.rollback(OPERATOR, { workspace: WORKSPACE as never, target: '@~2', mode: 'auto' }, CONTEXT);

describe('auditTurns()', () => {
  it('writes who asked before the turn, and its end with the id of the catalog', async () => {
    const { host, order } = world();
    expect(await rollback(host)).toEqual({ operation: 'op_1' });
    expect(order).toEqual(['turn.asked @~2', 'rollback', 'turn.done op_1 @~2']);
  });

  it('writes the trace and the span that it was asked for in', async () => {
    const lines: AuditTurn[] = [];
    const turn = async (line: AuditTurn): Promise<void> => void lines.push(line);
    const ids = { trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16) };
    const host = {
      rollback: async () => ({ operation: 'op_1' }),
      followEvents() {},
      tenantOf() {},
    };
    const names = Object.keys(OPERATIONS).map((name) => [name, host.rollback]);
    const whole = { ...host, ...Object.fromEntries(names) } as unknown as ServiceHost;
    const audited = auditTurns(whole, { turn }, () => undefined);
    const traceparent = `00-${ids.trace_id}-${ids.span_id}-01`;
    const trace = parseTraceContext({ traceparent }) ?? undefined;
    const input = { workspace: WORKSPACE as never, target: '@', mode: 'auto' } as const;
    await audited.rollback(OPERATOR, input, { ...CONTEXT, trace });
    const said = { trace: ids.trace_id, span: ids.span_id };
    expect(lines).toMatchObject([
      { event: 'turn.asked', ...said },
      { event: 'turn.done', ...said },
    ]);
  });

  it('writes how it failed, and gives the error on', async () => {
    const { host, order } = world('turn');
    await expect(rollback(host)).rejects.toMatchObject({ code: 'SNAPSHOT_NOT_FOUND' });
    expect(order.at(-1)).toBe('turn.failed SNAPSHOT_NOT_FOUND @~2');
  });

  it('begins nothing that cannot be written down', async () => {
    const { host, order } = world('log');
    await expect(rollback(host)).rejects.toMatchObject({ code: 'IO' });
    expect(order).toEqual([]);
  });

  it('knows every turn, and leaves everything else alone', async () => {
    const { host, order } = world();
    for (const name of Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[]) {
      order.length = 0;
      await host[name](OPERATOR, { workspace: WORKSPACE } as never, CONTEXT);
      const isTurn = /^(rollback|restore|undo|redo|undoCall)$/.test(name);
      expect(order.includes('turn.asked'), name).toBe(isTurn);
    }
    expect(host.tenantOf(WORKSPACE as never)).toBe('blue');
  });
});
