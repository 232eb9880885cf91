/**
 * ghostsnap: copy-on-write snapshots of a coding agent's workspace, and the way back.
 *
 * `SnapshotManager` is the synchronous API, `openWorkspace` and `initWorkspace` give the asynchronous
 * one. Errors are `GhostsnapError` with a `code`; every public value is plain data.
 */

export {
  ERROR_CODES,
  ERROR_KINDS,
  type ErrorCode,
  type ErrorKind,
  GhostsnapError,
} from './core/errors.ts';
export { emptyState, encodeState, foldEvents } from './core/fold-event.ts';
export type { CallId, OperationId, PromptId, SnapshotId, WorkspaceId } from './core/ids.ts';
export { displayPath, type RawPath } from './core/raw-path.ts';
export { step } from './core/step.ts';
export type { ChangeKind, TreeChange } from './core/tree-change.ts';
export type { EntryType, TreeEntry } from './core/tree-entry.ts';
export type { Environment } from './daemon/home.ts';
export {
  type InitWorkspaceOptions,
  type InitWorkspaceResult,
  initWorkspace,
} from './daemon/init-workspace.ts';
export { type OpenWorkspaceOptions, openWorkspace } from './daemon/open-workspace.ts';
export {
  createPool,
  destroyPool,
  listPools,
  mountPool,
  type PoolInfo,
  poolStatus,
} from './daemon/pools.ts';
export { recoverWorkspace } from './daemon/recover-workspace.ts';
export { SnapshotManager, type SnapshotManagerOptions } from './daemon/snapshot-manager.ts';
export { systemEnvironment } from './daemon/system-ports.ts';
export type * from './engine/call-results.ts';
export type * from './engine/results.ts';
export type * from './engine/workspace-api.ts';
