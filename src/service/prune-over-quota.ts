/**
 * Retention where a tenant is at its limit of snapshots.
 *
 * The engine's own retention follows snapshots; a workspace that may take none would stay full for good. So a
 * refusal has its workspace looked through by its own rules, in the background, as bulk work. What the rules keep
 * stays: nothing goes because of a limit.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceId } from '../core/ids.ts';
import type { Lanes } from './lanes.ts';
import type { HostedWorkspace } from './ledger.ts';
import type { OpenWorkspaces } from './open-workspaces.ts';
import type { TenantQuotas } from './tenant-quotas.ts';

export interface PruneOverQuotaOptions {
  readonly lanes: Lanes;
  readonly open: OpenWorkspaces;
  readonly quotas: TenantQuotas;
  readonly onError: (error: unknown) => void;
}

/** Nobody waits for it, and nobody gives it up. */
const UNENDING = new AbortController().signal;

export class PruneOverQuota {
  readonly #options: PruneOverQuotaOptions;
  readonly #under = new Set<WorkspaceId>();

  constructor(options: PruneOverQuotaOptions) {
    this.#options = options;
  }

  /** @throws GhostsnapError QUOTA_EXCEEDED before `work` begins; what it throws */
  async takeSnapshot<T>(row: HostedWorkspace, work: () => Promise<T>): Promise<T> {
    try {
      return await this.#options.quotas.takeSnapshot(row.tenant, work);
    } catch (error) {
      if (error instanceof GhostsnapError && error.code === 'QUOTA_EXCEEDED') this.#prune(row);
      throw error;
    }
  }

  #prune(row: HostedWorkspace): void {
    const { id, tenant, pool } = row;
    if (this.#under.has(id)) return;
    this.#under.add(id);
    const { lanes, open, quotas, onError } = this.#options;
    const place = { tenant, pool, lane: 'bulk', workspace: id } as const;
    lanes
      .run({ ...place, signal: UNENDING, deadline: undefined }, () =>
        open.use(row, (workspace) => workspace.prune({ apply: true })),
      )
      .then(({ deleted }) => {
        if (deleted.length > 0) quotas.forget(tenant);
      })
      .catch((error: unknown) => {
        // Too much to do, or an end: the next refusal asks again.
        const { kind } = error instanceof GhostsnapError ? error : { kind: null };
        if (kind !== 'throttled' && kind !== 'transient') onError(error);
      })
      .finally(() => this.#under.delete(id));
  }
}
