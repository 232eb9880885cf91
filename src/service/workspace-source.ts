/**
 * What the service needs from whoever puts engines together (daemon/): workspaces, opened and made.
 */
import type { SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { HostedWorkspace } from './ledger.ts';

export interface PoolSpace {
  readonly name: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
}

export interface CloneRequest {
  readonly row: HostedWorkspace;
  readonly template: HostedWorkspace;
  readonly snapshot: SnapshotId;
  readonly signal: AbortSignal;
}

export interface WorkspaceSource {
  /** Always greater than the one before. */
  newWorkspaceId(): WorkspaceId;
  nowMs(): number;
  /** Opens it, and ends what a crash left. @throws GhostsnapError as `openWorkspace` */
  open(row: HostedWorkspace): Promise<Workspace>;
  /** Where a clone in the template's pool shall stand; nothing is made. */
  placeOfClone(template: HostedWorkspace, id: WorkspaceId): string;
  /** Registers and makes it. What a failure leaves is removed by `takeBack`. */
  clone(request: CloneRequest): Promise<Workspace>;
  /** After a clone that failed or was cut off. 'stays': it had come so far that it is a workspace. */
  takeBack(row: HostedWorkspace): Promise<'gone' | 'stays'>;
  /** The pool that a directory would be adopted in. @throws GhostsnapError NOT_PERMITTED as `adopt` */
  poolFor(path: string): string;
  /**
   * Makes a directory a workspace where it stands; one that is a workspace already is what it is.
   * @throws GhostsnapError as `initWorkspace`; NOT_PERMITTED outside of the directories for it
   */
  adopt(
    path: string,
    signal: AbortSignal,
  ): Promise<Pick<HostedWorkspace, 'id' | 'path' | 'pool' | 'backend'>>;
  /** Pools whose service before died, and every workspace that they know. */
  inherited(): readonly { readonly pool: string; readonly workspaces: readonly WorkspaceId[] }[];
  /** Every workspace of the pool was opened since the service holds it. */
  allLookedAt(pool: string): void;
  /** Kept at the moment, as its log says; it is not opened. */
  snapshotsIn(row: HostedWorkspace): number;
  /** The pools that workspaces of the service are in. */
  pools(): readonly PoolSpace[];
}
