/**
 * Workspaces of the service: made from templates, adopted, listed, ended.
 *
 * The ledger's row comes first and goes last, so that what a crash or a failure cuts off is found: a making
 * is taken back, a deletion that the engine had begun is finished by opening the workspace. Where settling
 * fails as well (a full disk) the row stays, and the next one settles it: who repeats the request, who deletes
 * it, the next start. What is answered is the first failure; the second one is told to the log.
 */
import { unknownWorkspace } from '../api/access/authorize.ts';
import type { Principal } from '../api/principal.ts';
import type { InputOf, OutputOf } from '../api/schema/operations.ts';
import { GhostsnapError } from '../core/errors.ts';
import { isWorkspaceId, type WorkspaceId } from '../core/ids.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { HostedWorkspace, Ledger } from './ledger.ts';
import type { OpenWorkspaces } from './open-workspaces.ts';
import { decodeCursor, encodeCursor } from './page-cursor.ts';
import type { ServiceStep } from './service-step.ts';
import type { TenantQuotas } from './tenant-quotas.ts';
import { hostedView, snapshotViewOf } from './wire-views.ts';
import type { WorkspaceSource } from './workspace-source.ts';

export interface WorkspaceOperationsOptions {
  readonly ledger: Ledger;
  readonly source: WorkspaceSource;
  readonly open: OpenWorkspaces;
  readonly quotas: TenantQuotas;
  readonly templateTenants: () => readonly string[];
  /** Told what could not be settled after a failure that is answered. */
  readonly onError: (error: unknown) => void;
  readonly onStep: (step: ServiceStep) => void;
}

const PAGE_DEFAULT = 100;

export class WorkspaceOperations {
  readonly #options: WorkspaceOperationsOptions;
  /** Made or deleted by somebody at the moment; a row that says so of another was left by a failure. */
  readonly #underWay = new Set<WorkspaceId>();

  constructor(options: WorkspaceOperationsOptions) {
    this.#options = options;
  }

  /** @throws GhostsnapError WORKSPACE_NOT_FOUND, SNAPSHOT_NOT_FOUND, WORKSPACE_EXISTS, POOL_FULL */
  async create(
    principal: Principal,
    input: InputOf<'createWorkspace'>,
    by: { readonly signal: AbortSignal; readonly request: string },
  ): Promise<OutputOf<'createWorkspace'>> {
    const made = await this.#madeBefore(by.request);
    if (made !== null) return hostedView(made);
    const { quotas } = this.#options;
    return await quotas.makeWorkspace(principal.tenant, (onInserted) =>
      this.#clone(principal, input, { ...by, onInserted }),
    );
  }

  /** Its answer was lost with the process that made it, or it was left by a failure and had come far enough. */
  async #madeBefore(request: string): Promise<HostedWorkspace | null> {
    const made = this.#options.ledger.findByRequest(request);
    if (made?.status !== 'creating') return made;
    return await this.#alone(made.id, () => this.#takeBack(made));
  }

  async #clone(
    principal: Principal,
    input: InputOf<'createWorkspace'>,
    by: {
      readonly signal: AbortSignal;
      readonly request: string;
      readonly onInserted: () => void;
    },
  ): Promise<OutputOf<'createWorkspace'>> {
    const { ledger, source, open, onStep } = this.#options;
    const template = this.#template(principal, input.template);
    const snapshot = await open.use(template, (workspace) => workspace.resolve(input.snapshot));
    const row = this.#newRow(principal, { template, snapshot, name: input.name ?? null });
    return await this.#alone(row.id, async () => {
      ledger.insert({ ...row, request: by.request });
      by.onInserted();
      onStep('create.inserted');
      try {
        const { signal } = by;
        open.adopt(row.id, await source.clone({ row, template, snapshot, signal }));
        onStep('create.cloned');
        ledger.setStatus(row.id, 'active');
      } catch (error) {
        await this.#settle(() => this.#takeBack(row));
        throw error;
      }
      onStep('create.active');
      return hostedView({ ...row, status: 'active' });
    });
  }

  /** One that is a workspace of this tenant already is what it is. */
  async adopt(
    principal: Principal,
    input: InputOf<'adoptWorkspace'>,
    signal: AbortSignal,
  ): Promise<OutputOf<'adoptWorkspace'>> {
    return await this.#options.quotas.makeWorkspace(principal.tenant, () =>
      this.#adopt(principal, input, signal),
    );
  }

  async #adopt(
    principal: Principal,
    input: InputOf<'adoptWorkspace'>,
    signal: AbortSignal,
  ): Promise<OutputOf<'adoptWorkspace'>> {
    const { ledger, source } = this.#options;
    this.#assertNameFree(principal, input);
    const adopted = await source.adopt(input.path, signal);
    const known = ledger.workspace(adopted.id);
    if (known !== null) {
      if (known.tenant === principal.tenant) return hostedView(known);
      throw new GhostsnapError('WORKSPACE_EXISTS', `It is a workspace already: ${input.path}`, {
        hint: 'Take another directory.',
        data: { path: input.path },
      });
    }
    const row: HostedWorkspace = {
      ...adopted,
      ...{ tenant: principal.tenant, name: input.name ?? null, template: null },
      ...{ status: 'active', createdAtMs: source.nowMs(), request: '' },
    };
    ledger.insert(row);
    return hostedView(row);
  }

  /** Before the directory is touched: a name that is found taken afterwards leaves a workspace of nobody. */
  #assertNameFree({ tenant }: Principal, { name, path }: InputOf<'adoptWorkspace'>): void {
    const named = name === undefined ? null : this.#options.ledger.findByName(tenant, name);
    if (named === null || named.path === path) return;
    throw new GhostsnapError('WORKSPACE_EXISTS', `There is a workspace ${name} already.`, {
      hint: 'Take another name, or use that one.',
      data: { name: name ?? '', workspace: named.id },
    });
  }

  async delete(
    row: HostedWorkspace,
    input: InputOf<'deleteWorkspace'>,
    signal: AbortSignal,
  ): Promise<OutputOf<'deleteWorkspace'>> {
    if (input.keep === 'nothing' && row.template === null) {
      throw new GhostsnapError('UNSUPPORTED_MODE', `It was there before the service: ${row.path}`, {
        hint: 'Delete it with keep "directory"; only what was made from a template goes whole.',
        data: { workspace: row.id, path: row.path },
      });
    }
    return await this.#alone(row.id, async () => {
      const isLeft = row.status === 'creating';
      if (isLeft && (await this.#takeBack(row)) === null) {
        return { workspace: row.id, path: null, removedSnapshots: 0 };
      }
      return await this.#destroy(row, input, signal);
    });
  }

  async #destroy(
    row: HostedWorkspace,
    { keep }: InputOf<'deleteWorkspace'>,
    signal: AbortSignal,
  ): Promise<OutputOf<'deleteWorkspace'>> {
    const { ledger, open, onStep } = this.#options;
    ledger.setStatus(row.id, 'deleting');
    onStep('delete.marked');
    try {
      const tree = keep === 'nothing' ? 'removed' : 'kept';
      const ended = await open.use(row, (workspace) => workspace.destroy({ tree, signal }));
      onStep('delete.destroyed');
      ledger.remove(row.id);
      onStep('delete.removed');
      const { removedSnapshots } = ended;
      const path = keep === 'nothing' ? null : row.path;
      return { workspace: row.id, path, removedSnapshots };
    } catch (error) {
      await this.#settle(() => this.#settleDeletion(row));
      throw error;
    } finally {
      open.drop(row.id);
    }
  }

  list(
    principal: Principal,
    { name, cursor, limit = PAGE_DEFAULT }: InputOf<'listWorkspaces'>,
  ): OutputOf<'listWorkspaces'> {
    if (name !== undefined) {
      const row = this.#options.ledger.findByName(principal.tenant, name);
      return { workspaces: row === null ? [] : [hostedView(row)], nextCursor: null };
    }
    const after = cursor === undefined ? null : decodeCursor(cursor, parseId);
    const found = this.#options.ledger.list(principal.tenant, { after, limit: limit + 1 });
    const workspaces = found.slice(0, limit).map(hostedView);
    const last = found.length > limit ? workspaces.at(-1) : undefined;
    return { workspaces, nextCursor: last === undefined ? null : encodeCursor(last.workspace) };
  }

  status(workspace: Workspace, row: HostedWorkspace): OutputOf<'getWorkspace'> {
    const summary = workspace.summary();
    const { snapshots, newest, pinned, canUndo, canRedo, callsInFlight, lastSequence } = summary;
    const { poolRoot, poolTotalBytes, poolFreeBytes } = summary;
    return {
      ...hostedView(row),
      ...{ snapshots, pinned, canUndo, canRedo, callsInFlight, lastSequence },
      ...{ poolRoot, poolTotalBytes, poolFreeBytes },
      newest: newest === null ? null : snapshotViewOf(newest),
    };
  }

  usage({ tenant }: Principal): OutputOf<'getUsage'> {
    const { ledger, source } = this.#options;
    const pools = source.pools().map((pool) => ({ ...pool }));
    return { tenant, workspaces: ledger.count(tenant), pools };
  }

  workspaceUsage(workspace: Workspace): OutputOf<'getWorkspaceUsage'> {
    const summary = workspace.summary();
    const { snapshots, pinned, callsInFlight, lastSequence: events } = summary;
    const { poolTotalBytes, poolFreeBytes } = summary;
    return {
      workspace: workspace.info.workspace,
      ...{ snapshots, pinned, callsInFlight, events, poolTotalBytes, poolFreeBytes },
    };
  }

  /** What could not be settled is told, stays as it is, and is tried again at the next start. */
  async recover(onError: (error: unknown) => void): Promise<void> {
    for (const row of this.#options.ledger.unfinished()) {
      try {
        if (row.status === 'creating') await this.#takeBack(row);
        else await this.#settleDeletion(row);
      } catch (error) {
        onError(error);
      }
    }
  }

  /** One at a time makes or deletes a workspace. @throws GhostsnapError WORKSPACE_BUSY; what `work` throws */
  async #alone<T>(id: WorkspaceId, work: () => Promise<T>): Promise<T> {
    if (this.#underWay.has(id)) {
      throw new GhostsnapError('WORKSPACE_BUSY', `It is being made or deleted already: ${id}`, {
        hint: 'Wait until that has ended.',
        data: { workspace: id },
      });
    }
    this.#underWay.add(id);
    try {
      return await work();
    } finally {
      this.#underWay.delete(id);
    }
  }

  async #settle(settle: () => Promise<unknown>): Promise<void> {
    try {
      await settle();
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /** @returns null: it is gone; else it had come so far that it is a workspace */
  async #takeBack(row: HostedWorkspace): Promise<HostedWorkspace | null> {
    const { ledger, source, onStep } = this.#options;
    if ((await source.takeBack(row)) === 'stays') {
      ledger.setStatus(row.id, 'active');
      return { ...row, status: 'active' };
    }
    onStep('create.taken-back');
    ledger.remove(row.id);
    return null;
  }

  /** An engine that announced the end finishes it when it is opened; one that did not goes on as it was. */
  async #settleDeletion(row: HostedWorkspace): Promise<void> {
    const { ledger, open } = this.#options;
    open.drop(row.id);
    try {
      await open.use(row, (workspace) => workspace.info);
      ledger.setStatus(row.id, 'active');
    } catch (error) {
      if (!(error instanceof GhostsnapError) || !ENDED.has(error.code)) throw error;
      open.drop(row.id);
      ledger.remove(row.id);
    }
  }

  #template(principal: Principal, id: WorkspaceId): HostedWorkspace {
    const { ledger, templateTenants } = this.#options;
    const row = ledger.workspace(id);
    const isTheirs = row?.tenant === principal.tenant;
    const isShared = row !== null && templateTenants().includes(row.tenant);
    if (row === null || row.status !== 'active' || !(isTheirs || isShared)) {
      throw unknownWorkspace();
    }
    return row;
  }

  #newRow(
    { tenant }: Principal,
    from: Pick<Required<HostedWorkspace>, 'name'> & {
      readonly template: HostedWorkspace;
      readonly snapshot: NonNullable<HostedWorkspace['template']>['snapshot'];
    },
  ): HostedWorkspace {
    const { source } = this.#options;
    const { template, snapshot, name } = from;
    const { pool, backend } = template;
    const id = source.newWorkspaceId();
    return {
      ...{ id, tenant, name, pool, backend, path: source.placeOfClone(template, id) },
      template: { workspace: template.id, snapshot },
      ...{ status: 'creating', createdAtMs: source.nowMs(), request: '' },
    };
  }
}

const ENDED: ReadonlySet<string> = new Set(['WORKSPACE_DESTROYED', 'WORKSPACE_NOT_FOUND']);

function parseId(value: unknown): WorkspaceId | null {
  return typeof value === 'string' && isWorkspaceId(value) ? value : null;
}
