/**
 * What the command line needs from the composition root, as one interface.
 *
 * `src/daemon/compose.ts` gives it. It is loaded on first use, so that `--help` and a mistyped
 * option cost nothing, and it can be handed in, so that a command runs against something else in a
 * test.
 */
import type { McpPolicy } from '../agent/mcp/mcp-policy.ts';
import type { DamagedPath, UncoveredPath } from '../backend/backend.ts';
import type { WorkspaceId } from '../core/ids.ts';
import type { BisectRecord, BisectStore } from '../engine/bisect.ts';
import type { PolicyInForce } from '../engine/judge-call.ts';
import type { RecoveryReport } from '../engine/results.ts';
import type { Workspace } from '../engine/workspace-api.ts';

/** What a process knows about where it runs; the library itself never looks. */
export interface Environment {
  readonly env: Record<string, string | undefined>;
  readonly cwd: string;
  readonly homeDir: string;
  readonly uid: number;
  readonly isTty?: boolean;
}

export interface OpenRequest {
  /** A directory in the workspace; without it, the one around `environment.cwd`. */
  readonly workspace?: string;
  readonly environment?: Environment;
  readonly watch?: 'on' | 'off';
  readonly readOnly?: 'yes' | 'no';
}

export interface InitRequest {
  readonly path: string;
  readonly pool?: string;
  readonly backend?: 'btrfs' | 'store' | 'auto';
  readonly force?: 'yes' | 'no';
  readonly environment?: Environment;
  readonly onProgress?: (done: number, total: number | null) => void;
  readonly signal?: AbortSignal;
}

export interface InitReport {
  readonly workspace: string;
  readonly path: string;
  readonly backend: string;
  readonly pool: string;
  readonly uncovered: readonly UncoveredPath[];
  /** It was a workspace before; nothing was changed. */
  readonly already: boolean;
  readonly firstSnapshot: 'taken' | 'there';
}

export interface PoolInfo {
  readonly id: string;
  readonly name: string;
  readonly kind: 'image' | 'btrfs' | 'store';
  readonly root: string;
  readonly image: string | null;
  readonly mounted: boolean;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly workspaces: number;
}

export interface PoolRequest {
  readonly name: string;
  readonly environment?: Environment;
}

export interface RecoverReport extends RecoveryReport {
  /** null: not asked for, or the filesystem keeps checksums itself. */
  readonly damaged: readonly DamagedPath[] | null;
  /** `setAside`: where a damaged catalog is kept; it was filled again from the disk. */
  readonly catalog: {
    readonly outcome: 'missing' | 'sound' | 'rebuilt' | 'set-aside';
    readonly setAside: string | null;
  };
  /** The workspace was found at another path, or after it had been forgotten. */
  readonly rebound: { readonly from: string; readonly to: string } | null;
  /** False: no directory, or another one, is at its path; its snapshots are whole all the same. */
  readonly isThere: boolean;
}

export interface ForgetReport {
  readonly workspace: string;
  readonly path: string;
  readonly removedSnapshots: number;
  /** The directory that still holds its snapshots; null: none does. */
  readonly keptAt: string | null;
}

export interface BisectRequest {
  readonly environment: Environment;
  readonly workspace: WorkspaceId;
}

export interface Composition {
  openWorkspace(request: OpenRequest): Promise<Workspace>;
  initWorkspace(request: InitRequest): Promise<InitReport>;
  recoverWorkspace(request: {
    readonly workspace?: string;
    readonly environment?: Environment;
    readonly verify?: 'yes' | 'no';
    readonly onProgress?: (done: number, total: number | null) => void;
    readonly signal?: AbortSignal;
  }): Promise<RecoverReport>;
  forgetWorkspace(request: {
    readonly workspace?: string;
    readonly snapshots: 'keep' | 'delete';
    readonly environment?: Environment;
  }): Promise<ForgetReport>;
  createPool(
    request: PoolRequest & { readonly sizeBytes?: number; readonly directory?: string },
  ): Promise<PoolInfo>;
  listPools(request: { readonly environment?: Environment }): Promise<PoolInfo[]>;
  poolStatus(request: PoolRequest): Promise<PoolInfo>;
  mountPool(request: PoolRequest): Promise<PoolInfo>;
  loadMcpPolicy(request: { readonly environment: Environment }): Promise<McpPolicy>;
  /** Made when there is none yet. */
  loadMcpToken(request: {
    readonly environment: Environment;
  }): Promise<{ readonly token: string; readonly file: string }>;
  /** The rules in force; `text` stands in for the workspace's own file. */
  readPolicy(request: {
    readonly text: string | null;
    readonly environment?: Environment;
  }): Promise<PolicyInForce>;
  /** Alone with the record of a workspace's bisect until disposed. @throws GhostsnapError LOCKED */
  openBisect(request: BisectRequest): Promise<BisectStore & Disposable>;
  /** For looking at it; null: none is under way. */
  readBisect(request: BisectRequest): Promise<BisectRecord | null>;
  destroyPool(
    request: PoolRequest & { readonly force?: 'yes' | 'no' },
  ): Promise<{ readonly name: string }>;
}
