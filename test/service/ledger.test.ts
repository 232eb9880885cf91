import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WorkspaceId } from '../../src/core/ids.ts';
import type { HostedWorkspace, Ledger } from '../../src/service/ledger.ts';
import { openLedger } from '../../src/service/sqlite-ledger.ts';

let directory = '';
let ledger: Ledger;

const open = (): Ledger => openLedger(join(directory, 'ledger.db'));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ghostsnap-ledger-'));
  ledger = open();
});

afterEach(() => {
  ledger[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

function row(last: string, more: Partial<HostedWorkspace> = {}): HostedWorkspace {
  return {
    id: `ws_01J9Z3K4M5N6P7Q8R9S0T1V2W${last}` as WorkspaceId,
    ...{ tenant: 'acme', name: null, path: `/w/${last}`, pool: 'main', backend: 'btrfs' },
    ...{ template: null, status: 'active', createdAtMs: 1, request: '' },
    ...more,
  };
}

describe('the ledger', () => {
  it('keeps rows through a restart, and tells tenants apart', () => {
    const creating = row('3', { status: 'creating', request: 'acme\nme\nk', name: 'n' });
    for (const one of [row('1'), row('2', { tenant: 'other' }), creating]) ledger.insert(one);
    ledger[Symbol.dispose]();
    ledger = open();
    expect(ledger.list('acme', { after: null, limit: 9 })).toEqual([row('1'), creating]);
    expect(ledger.list('acme', { after: row('1').id, limit: 9 })).toEqual([creating]);
    expect(ledger.count('other')).toBe(1);
    expect(ledger.unfinished()).toEqual([creating]);
    expect(ledger.findByRequest('acme\nme\nk')).toEqual(creating);
    expect(ledger.workspace(creating.id)).toEqual(creating);
    ledger.setStatus(creating.id, 'active');
    expect(ledger.workspace(creating.id)).toEqual({ ...creating, status: 'active' });
    expect(ledger.unfinished()).toEqual([]);
    ledger.remove(creating.id);
    ledger.remove(creating.id);
    expect(ledger.workspace(creating.id)).toBeNull();
  });

  it('gives a name once in a tenant, and rows without one any number of times', () => {
    ledger.insert(row('1', { name: 'n' }));
    expect(() => ledger.insert(row('2', { name: 'n' }))).toThrow(
      expect.objectContaining({ code: 'WORKSPACE_EXISTS' }),
    );
    ledger.insert(row('2', { name: 'n', tenant: 'other' }));
    ledger.insert(row('3'));
    ledger.insert(row('4'));
  });

  it('takes many rows, or none of them', () => {
    const three = ['1', '2', '3'].map((last) => row(last));
    ledger.insertAll(three);
    const two = [row('4', { name: 'n' }), row('5', { name: 'n' })];
    expect(() => ledger.insertAll(two)).toThrow(
      expect.objectContaining({ code: 'WORKSPACE_EXISTS' }),
    );
    expect(ledger.list('acme', { after: null, limit: 9 })).toEqual(three);
  });
});
