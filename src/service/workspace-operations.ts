/**
 * Workspaces of the service: made from templates, adopted, listed, ended.
 *
 * The ledger's row comes first and goes last, so that what a crash cuts off is found: a making is taken
 * back, a deletion that the engine had begun is finished by opening the workspace.
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
  readonly onStep: (step: ServiceStep) => void;
}

const PAGE_DEFAULT = 100;

export class WorkspaceOperations {
  readonly #options: WorkspaceOperationsOptions;

  constructor(options: WorkspaceOperationsOptions) {
    this.#options = options;
  }

  /** @throws GhostsnapError WORKSPACE_NOT_FOUND, SNAPSHOT_NOT_FOUND, WORKSPACE_EXISTS, POOL_FULL */
  async create(
    principal: Principal,
    input: InputOf<'createWorkspace'>,
    by: { readonly signal: AbortSignal; readonly request: string },
  ): Promise<OutputOf<'createWorkspace'>> {
    const made = this.#options.ledger.findByRequest(by.request);
    // Its answer was lost with the process that made it.
    if (made?.status === 'active') return hostedView(made);
    const { quotas } = this.#options;
    return await quotas.makeWorkspace(principal.tenant, (onInserted) =>
      this.#clone(principal, input, { ...by, onInserted }),
    );
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
    ledger.insert({ ...row, request: by.request });
    by.onInserted();
    onStep('create.inserted');
    try {
      const { signal } = by;
      open.adopt(row.id, await source.clone({ row, template, snapshot, signal }));
    } catch (error) {
      await this.#takeBack(row);
      throw error;
    }
    onStep('create.cloned');
    ledger.setStatus(row.id, 'active');
    onStep('create.active');
    return hostedView({ ...row, status: 'active' });
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

  async delete(
    row: HostedWorkspace,
    { keep }: InputOf<'deleteWorkspace'>,
    signal: AbortSignal,
  ): Promise<OutputOf<'deleteWorkspace'>> {
    const { ledger, open, onStep } = this.#options;
    if (keep === 'nothing' && row.template === null) {
      throw new GhostsnapError('UNSUPPORTED_MODE', `It was there before the service: ${row.path}`, {
        hint: 'Delete it with keep "directory"; only what was made from a template goes whole.',
        data: { workspace: row.id, path: row.path },
      });
    }
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
      await this.#settleDeletion(row);
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

  async #takeBack(row: HostedWorkspace): Promise<void> {
    const { ledger, source, onStep } = this.#options;
    if ((await source.takeBack(row)) === 'stays') {
      ledger.setStatus(row.id, 'active');
      return;
    }
    onStep('create.taken-back');
    ledger.remove(row.id);
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
