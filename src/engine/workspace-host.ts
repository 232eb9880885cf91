/**
 * What an engine workspace needs from whoever put it together, beside the ports of its session.
 */
import type { WorkspaceId } from '../core/ids.ts';
import type { BisectUnderWay } from '../core/retention/keep-bisected.ts';
import type { RetentionPolicy } from '../core/retention/policy.ts';
import type { PolicySource } from './judge-call.ts';
import type { Workspace, WorkspaceInfo } from './workspace-api.ts';

/** Who put the workspace together. One object serves all workspaces of a pool: a host may hold 50,000. */
export interface WorkspaceHost {
  /** The pool's name. */
  readonly pool: string;
  readonly backend: WorkspaceInfo['backend'];
  /** The retention rules as they are now. */
  policy(): RetentionPolicy;
  /** The workspace's bisect; null: none is under way. */
  bisect(workspace: WorkspaceId): BisectUnderWay | null;
  /** What tool calls are judged by. */
  readonly judging: PolicySource;
  /**
   * An absolute path that a person names, as one that begins with the workspace's own: it may lead there by
   * a symlink. What does not lead there is given back as it is.
   */
  locate(workspace: WorkspaceInfo, text: string): string;
  /** @throws GhostsnapError TARGET_PROTECTED when one of these absolute paths is not for others to write */
  assertWritable(workspace: WorkspaceInfo, places: readonly string[]): void;
  /** Called first on closing: what goes on in the background has to end. */
  closing(workspace: Workspace): void;
  /** Closes what must be closed with the workspace: catalog, backend. */
  release(): Promise<void>;
  releaseSync(): void;
  /** Ends the workspace's registration, after `destroy`. */
  forget(workspace: Workspace): void;
  /** Called after a snapshot when retention should look again; must return at once. */
  pruneDue(workspace: Workspace): void;
}
