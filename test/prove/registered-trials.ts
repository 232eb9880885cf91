/**
 * Tries on what the registry knows: a workspace that was moved is bound again, one that is gone is
 * forgotten, a catalog that is damaged is mended or set aside. What must hold: the tree stays what it is;
 * the same call ends what was begun; no snapshot is lost but those that were to go.
 */
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { forgetWorkspace } from '../../src/daemon/forget-workspace.ts';
import {
  GhostsnapError,
  initWorkspace,
  openWorkspace,
  recoverWorkspace,
  type SnapshotId,
  type WorkspaceId,
} from '../../src/index.ts';
import { causeOf, type FreshGround, FreshPlace, type FreshTrial } from './fresh-place.ts';
import type { OperationCall } from './operations.ts';

/** `mend`: a catalog whose projections are wrong. `quarantine`: one that can't be read at all. */
export const REGISTERED_OPERATIONS = ['rebind', 'forget', 'mend', 'quarantine'] as const;
export type RegisteredOperation = (typeof REGISTERED_OPERATIONS)[number];

class Registered implements FreshTrial {
  readonly call: OperationCall;
  readonly #op: RegisteredOperation;
  readonly #place: FreshPlace;
  /** What the operation is asked to work on. */
  path: string;
  #snapshots: readonly SnapshotId[] = [];
  #ghosts = '';

  constructor(op: RegisteredOperation, ground: FreshGround) {
    this.#op = op;
    this.#place = new FreshPlace(ground);
    this.path = this.#place.path;
    this.call = { op: op === 'quarantine' ? 'mend' : op };
  }

  get environment() {
    return this.#place.environment;
  }

  async prepare(): Promise<void> {
    const { environment, path } = this;
    const { backend } = this.#place.bed;
    await initWorkspace({ path, backend, environment });
    const info = await this.#takeTwo();
    this.#ghosts = join(info.poolRoot, '.ghostsnap', info.workspace);
    if (this.#op === 'mend' || this.#op === 'quarantine') this.#damage(info.pool);
    else this.#moveAway();
    await this.#place.remember();
  }

  async #takeTwo(): Promise<{ pool: string; poolRoot: string; workspace: WorkspaceId }> {
    const { environment, path } = this;
    await using workspace = await openWorkspace({ workspace: path, environment });
    await workspace.snapshot();
    await workspace.snapshot();
    this.#snapshots = workspace.list().map(({ id }) => id);
    return workspace.info;
  }

  #damage(pool: string): void {
    const file = join(this.#place.home, 'pools', pool, 'catalog.db');
    if (this.#op === 'quarantine') {
      writeFileSync(file, 'this was a catalog');
      return;
    }
    using database = new DatabaseSync(file);
    database.exec('DELETE FROM snapshots');
  }

  /** Bound again from where it is now; forgotten by the path it had. */
  #moveAway(): void {
    const moved = join(this.#place.folder, 'pool');
    renameSync(this.#place.path, moved);
    this.#place.path = moved;
    if (this.#op === 'rebind') this.path = moved;
  }

  async judge(isAcknowledged: boolean): Promise<string[]> {
    const wrong: string[] = [];
    await this.#place.assertSame('right after', wrong);
    try {
      if (this.#op === 'forget') await this.#judgeForgotten(isAcknowledged, wrong);
      else await this.#judgeFound(isAcknowledged, wrong);
    } catch (error) {
      wrong.push(`can't be brought to an end: ${causeOf(error)}`);
    }
    await this.#place.assertSame('in the end', wrong);
    const beside = this.#place.beside();
    if (beside.length > 0) wrong.push(`left beside the workspace: ${beside.join(', ')}`);
    return wrong;
  }

  async #judgeFound(isAcknowledged: boolean, wrong: string[]): Promise<void> {
    const { environment, path } = this;
    if (!isAcknowledged) await recoverWorkspace({ workspace: path, environment });
    await using workspace = await openWorkspace({ workspace: path, environment });
    const listed = new Set(workspace.list().map(({ id }) => id));
    const lost = this.#snapshots.filter((id) => !listed.has(id));
    if (lost.length > 0) wrong.push(`lost ${lost.join(', ')}`);
    for (const id of this.#snapshots) {
      const plan = await workspace.planRollback(id);
      for await (const change of plan.changes) wrong.push(`${id}: ${JSON.stringify(change)}`);
    }
    await workspace.snapshot();
    await workspace.destroy();
    const records = readdirSync(join(this.#place.home, 'workspaces'));
    if (records.length > 0) wrong.push(`records are left: ${records.join(', ')}`);
  }

  async #judgeForgotten(isAcknowledged: boolean, wrong: string[]): Promise<void> {
    const { environment, path } = this;
    if (isAcknowledged && existsSync(this.#ghosts)) wrong.push('forgotten, and snapshots are left');
    try {
      await forgetWorkspace({ workspace: path, environment, snapshots: 'delete' });
    } catch (error) {
      const isGone = error instanceof GhostsnapError && error.code === 'WORKSPACE_NOT_FOUND';
      if (!isGone) throw error;
    }
    if (existsSync(this.#ghosts)) wrong.push('forgotten again, and snapshots are left');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#place[Symbol.asyncDispose]();
  }
}

export async function makeRegisteredTrial(
  op: RegisteredOperation,
  ground: FreshGround,
): Promise<FreshTrial> {
  const trial = new Registered(op, ground);
  await trial.prepare();
  return trial;
}
