/**
 * A catalog in a temporary directory, driven by the core's own `step`, so that what the tests commit is
 * what the engine would.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type OpenCatalogOptions, openCatalog } from '../../src/catalog/open-catalog.ts';
import type { Command } from '../../src/core/command.ts';
import type { Event } from '../../src/core/event.ts';
import { emptyState } from '../../src/core/fold-event.ts';
import {
  nextUlid,
  type SnapshotId,
  snapshotId,
  type WorkspaceId,
  workspaceId,
} from '../../src/core/ids.ts';
import type { WorkspaceState } from '../../src/core/state.ts';
import { step } from '../../src/core/step.ts';
import type { Catalog } from '../../src/engine/ports.ts';

export interface TemporaryDirectory extends Disposable {
  readonly path: string;
  readonly file: string;
}

export function temporaryDirectory(): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), 'ghostsnap-catalog-'));
  return {
    path,
    file: join(path, 'catalog.db'),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

const RANDOM = new Uint8Array(10).fill(7);
export const NO_LABELS = { label: null, tool: null, session: null, call: null };

export function workspaceNumber(index: number): WorkspaceId {
  return workspaceId(nextUlid('', 1_000 + index, RANDOM));
}

type Durability = 'process-crash' | 'power-loss';

export type JournalCatalog = Pick<Catalog, 'loadState' | 'commit'>;

/** One workspace's decisions: commands in, events committed, the state kept beside. */
export class Journal {
  readonly workspace: WorkspaceId;
  readonly events: Event[] = [];
  readonly #catalog: JournalCatalog;
  state: WorkspaceState;
  nowMs = 1_700_000_000_000;

  constructor(catalog: JournalCatalog, index = 1) {
    this.workspace = workspaceNumber(index);
    this.#catalog = catalog;
    this.state = catalog.loadState(this.workspace) ?? emptyState(this.workspace);
  }

  decide(command: Command, durability: Durability = 'process-crash'): void {
    this.nowMs += 1000;
    const result = step(this.state, command, this.nowMs);
    if (!result.ok) throw new Error(`${command.type}: ${result.conflict.message}`);
    if (result.events.length === 0) return;
    this.#catalog.commit(this.workspace, result.events, result.state, durability);
    this.state = result.state;
    this.events.push(...result.events);
  }

  init(): this {
    this.decide({ type: 'create-workspace', path: '/w', backend: 'store', pool: 'default' });
    this.decide({ type: 'activate-workspace' });
    return this;
  }

  nextId(): SnapshotId {
    return snapshotId(nextUlid(this.state.lastUlid, this.nowMs + 1000, RANDOM));
  }

  snapshot(
    given: { role?: 'ordinary' | 'precautionary' | 'adopted'; label?: string } = {},
  ): SnapshotId {
    const id = this.nextId();
    const labels = { ...NO_LABELS, label: given.label ?? null };
    this.decide({ type: 'snapshot-taken', id, role: given.role ?? 'ordinary', ...labels });
    return id;
  }

  startTurn(
    kind: 'rollback' | 'restore' | 'undo' | 'redo',
    target: SnapshotId,
    cursor: number | null,
  ): SnapshotId {
    const precautionary = this.snapshot({ role: 'precautionary' });
    this.decide({
      ...{ type: 'start-turn', random: RANDOM, kind, target, precautionary, cursor },
      ...{ mode: 'in-place', paths: ['a\\x0ab'], token: 'opaque' },
    });
    return precautionary;
  }

  turn(
    kind: 'rollback' | 'restore' | 'undo' | 'redo',
    target: SnapshotId,
    cursor: number | null,
  ): SnapshotId {
    const precautionary = this.startTurn(kind, target, cursor);
    this.decide({ type: 'complete-turn', changes: 3, recovered: false });
    return precautionary;
  }

  delete(ids: readonly SnapshotId[]): void {
    const rule = 'test';
    this.decide({ type: 'start-delete', random: RANDOM, ids, pinnedIds: [], rule });
    this.decide({ type: 'complete-delete', rule });
  }
}

export function open(file: string, options: Omit<OpenCatalogOptions, 'file'> = {}): Catalog {
  return openCatalog({ file, ...options });
}
