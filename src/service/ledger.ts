/**
 * What the service keeps beside the engine: whose each workspace is.
 *
 * Nothing here decides about snapshots or trees. A workspace is in the ledger before it is made and until
 * it is gone, so that whatever a crash cut off is found at the next start.
 */
import type { SnapshotId, WorkspaceId } from '../core/ids.ts';

export interface HostedWorkspace {
  readonly id: WorkspaceId;
  readonly tenant: string;
  readonly name: string | null;
  /** Absolute. */
  readonly path: string;
  readonly pool: string;
  readonly backend: 'btrfs' | 'store';
  readonly template: { readonly workspace: WorkspaceId; readonly snapshot: SnapshotId } | null;
  readonly status: 'creating' | 'active' | 'deleting';
  readonly createdAtMs: number;
  /** What made it, so that the same request finds it again: '' for what no request made. */
  readonly request: string;
}

export interface Ledger extends Disposable {
  workspace(id: WorkspaceId): HostedWorkspace | null;
  /** In order of ids, those after `after`. */
  list(
    tenant: string,
    query: { readonly after: WorkspaceId | null; readonly limit: number },
  ): readonly HostedWorkspace[];
  /** null: the tenant has none of this name. */
  findByName(tenant: string, name: string): HostedWorkspace | null;
  count(tenant: string): number;
  /** One that is being deleted is not what the request asked for. */
  findByRequest(request: string): HostedWorkspace | null;
  /** Those whose making or deletion has not ended. */
  unfinished(): readonly HostedWorkspace[];
  /** Durable on return. @throws GhostsnapError WORKSPACE_EXISTS when the tenant has that name already */
  insert(row: HostedWorkspace): void;
  /** All or none, durable on return. @throws GhostsnapError WORKSPACE_EXISTS as `insert` */
  insertAll(rows: readonly HostedWorkspace[]): void;
  /** Durable on return. */
  setStatus(id: WorkspaceId, status: HostedWorkspace['status']): void;
  /** Durable on return. One that is gone counts as removed. */
  remove(id: WorkspaceId): void;
}
