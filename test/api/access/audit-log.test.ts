import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog, type AuditRefusal } from '../../../src/api/access/audit-log.ts';
import type { Principal } from '../../../src/api/principal.ts';

const AGENT: Principal = { id: 'spiffe://a.example/x', tenant: 'blue', role: 'agent' };
const REFUSAL: AuditRefusal = {
  ...{ event: 'refused', principal: AGENT, operation: 'POST /v1/x', reason: 'role' },
};

let folder: string;
let nowMs: number;
const lost: unknown[] = [];

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ghostsnap-audit-'));
  nowMs = Date.UTC(2026, 0, 1);
  lost.length = 0;
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

function open(file = 'audit.log', bytesMax = 1_000_000): AuditLog {
  const now = (): number => nowMs;
  const onLost = (error: unknown): number => lost.push(error);
  return new AuditLog({ file: path.join(folder, file), now, onLost, bytesMax });
}

function lines(file = 'audit.log'): Record<string, unknown>[] {
  const text = fs.readFileSync(path.join(folder, file), 'utf8');
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
}

describe('AuditLog', () => {
  it('has a turn on disk before it returns, with who asked; for the owner only', async () => {
    const log = open();
    const turn = { principal: AGENT, operation: 'rollback', workspace: 'ws_1', target: '@~2' };
    await log.turn({ event: 'turn.asked', ...turn });
    expect(lines()).toEqual([
      {
        ...{ at: '2026-01-01T00:00:00.000Z', event: 'turn.asked', who: AGENT.id, tenant: 'blue' },
        ...{ role: 'agent', operation: 'rollback', workspace: 'ws_1', target: '@~2' },
      },
    ]);
    expect(fs.statSync(path.join(folder, 'audit.log')).mode & 0o777).toBe(0o600);
    await log.close();
  });

  it('begins a new line behind one that a crash or a full disk has torn', async () => {
    fs.writeFileSync(path.join(folder, 'audit.log'), '{"at":"2025-12-31T23:5');
    const log = open();
    const turn = { event: 'turn.asked', principal: AGENT, operation: 'undo' } as const;
    await log.turn({ ...turn, workspace: 'ws_1' });
    await log.turn({ ...turn, workspace: 'ws_2' });
    await log.close();
    const written = fs.readFileSync(path.join(folder, 'audit.log'), 'utf8').split('\n');
    expect(written).toHaveLength(4);
    expect(written.slice(1, 3).map((line) => JSON.parse(line).workspace)).toEqual(['ws_1', 'ws_2']);
  });

  it('refuses the turn when it cannot be written, and goes on with the next', async () => {
    const log = open('occupied/audit.log');
    fs.writeFileSync(path.join(folder, 'occupied'), '');
    const turn = { event: 'turn.asked', principal: AGENT, operation: 'undo' } as const;
    await expect(log.turn({ ...turn, workspace: 'ws_1' })).rejects.toMatchObject({ code: 'IO' });
    log.refused(REFUSAL);
    fs.rmSync(path.join(folder, 'occupied'));
    await log.turn({ ...turn, workspace: 'ws_2' });
    await log.close();
    expect(lines('occupied/audit.log').at(-1)).toMatchObject({ workspace: 'ws_2' });
  });

  it('folds a flood of equal refusals into two lines', async () => {
    const log = open();
    for (let n = 0; n < 10_000; n += 1) log.refused(REFUSAL);
    nowMs += 10_001;
    log.refused({ ...REFUSAL, reason: 'tenant' });
    await log.close();
    expect(lines().map(({ reason, repeated }) => [reason, repeated])).toEqual([
      ['role', undefined],
      ['role', 9999],
      ['tenant', undefined],
    ]);
    expect(lost).toEqual([]);
  });

  it('is bounded by a flood of different refusals, in memory and on disk', async () => {
    const log = open();
    for (let n = 0; n < 5000; n += 1) {
      log.refused({ ...REFUSAL, principal: { ...AGENT, id: `spiffe://a.example/${n}` } });
    }
    await log.close();
    expect(lines()).toHaveLength(256 + 1 + 1);
    expect(lines().at(-1)).toMatchObject({ others: true, repeated: 5000 - 257 });
  });

  it('sets a full file aside, keeps a bounded number and loses no line on the way', async () => {
    const log = open('audit.log', 100);
    for (let n = 0; n < 20; n += 1) {
      const workspace = `ws_${n}`;
      await log.turn({ event: 'turn.done', principal: AGENT, operation: 'redo', workspace });
    }
    await log.close();
    expect(fs.readdirSync(folder)).toHaveLength(17);
    expect(lines('audit.log')).toMatchObject([{ workspace: 'ws_19' }]);
    expect(lines('audit.log.16')).toMatchObject([{ workspace: 'ws_3' }]);
  });
});
