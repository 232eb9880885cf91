/**
 * Reading a workspace: what the catalog knows of it, and the trees that the backend opens.
 *
 * Neither queue nor lock is taken: the catalog shows the last committed state, and a snapshot never
 * changes.
 */
import type { DamagedPath, TreeReader, TreeRef, WorkOptions } from '../backend/backend.ts';
import type { Event } from '../core/event.ts';
import type { SnapshotId } from '../core/ids.ts';
import { ROOT_PATH } from '../core/raw-path.ts';
import type { TreeChange } from '../core/tree-change.ts';
import { callInfo, promptInfo, sessionInfo, unattributedInfo } from './agent-info.ts';
import type { Blame } from './blame.ts';
import type { CallInfo, PromptInfo, SessionInfo, UnattributedInfo } from './call-results.ts';
import { type ChangesBetween, changesBetween, type Span } from './changes-between.ts';
import type { CallQuery, OperationRow } from './ports.ts';
import { requireSnapshot } from './require-snapshot.ts';
import type { SnapshotInfo } from './results.ts';
import { snapshotInfo } from './snapshot-info.ts';
import { requireCall } from './tool-calls.ts';
import type { WorkspaceStatus, WorkspaceSummary } from './workspace-api.ts';
import { summaryOf } from './workspace-summary.ts';
import { WorkspaceWork } from './workspace-work.ts';

type DiffOptions = { paths?: readonly string[]; mtimes?: boolean; signal?: AbortSignal };

export abstract class WorkspaceReading extends WorkspaceWork {
  listCalls(query: CallQuery = {}): readonly CallInfo[] {
    return this.session.ports.catalog.listCalls(this.session.ref.id, query).map(callInfo);
  }

  showCall(call: string): CallInfo {
    return callInfo(requireCall(this.session, call));
  }

  listSessions(limit = 50): readonly SessionInfo[] {
    return this.session.ports.catalog.listSessions(this.session.ref.id, limit).map(sessionInfo);
  }

  listPrompts(query: { session?: string; limit?: number } = {}): readonly PromptInfo[] {
    return this.session.ports.catalog.listPrompts(this.session.ref.id, query).map(promptInfo);
  }

  listUnattributed(limit = 50): readonly UnattributedInfo[] {
    const { catalog } = this.session.ports;
    return catalog.listUnattributed(this.session.ref.id, limit).map(unattributedInfo);
  }

  list(query: { limit?: number; before?: SnapshotId } = {}): readonly SnapshotInfo[] {
    return this.session.ports.catalog.listSnapshots(this.session.ref.id, query).map(snapshotInfo);
  }

  show(spec: string): SnapshotInfo {
    return requireSnapshot(this.session, this.resolve(spec));
  }

  operations(limit = 50): readonly OperationRow[] {
    return this.session.ports.catalog.listOperations(this.session.ref.id, limit);
  }

  async status(): Promise<WorkspaceStatus> {
    const uncovered = await this.session.ports.backend.listUncovered(this.session.ref);
    return { ...this.summary(), uncovered };
  }

  summary(): WorkspaceSummary {
    return { ...this.info, ...summaryOf(this.session) };
  }

  events(afterSequence: number, limit: number): readonly Event[] {
    return this.session.ports.catalog.events(this.session.ref.id, afterSequence, limit);
  }

  diff(from: string, to = 'live', options: DiffOptions = {}): AsyncIterable<TreeChange> {
    const { backend } = this.session.ports;
    return backend.compare(this.session.ref, this.treeRef(from), this.treeRef(to), {
      ...(options.paths === undefined ? {} : { paths: this.paths(options.paths) }),
      ...(options.mtimes === undefined ? {} : { mtimes: options.mtimes }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  async blame(path: string, options: { signal?: AbortSignal } = {}): Promise<Blame> {
    const [raw = ROOT_PATH] = this.paths([path]);
    const { blameFile } = await import('./blame.ts');
    return await blameFile(this.session, raw, options.signal);
  }

  openTree(tree: TreeRef): Promise<TreeReader> {
    return this.session.ports.backend.openTree(this.session.ref, tree);
  }

  changesBetween(span: Span): ChangesBetween {
    return changesBetween(this.session, span);
  }

  verify(work: WorkOptions = {}): Promise<readonly DamagedPath[] | null> {
    return this.session.ports.backend.verifySnapshots(this.session.ref, work);
  }
}
