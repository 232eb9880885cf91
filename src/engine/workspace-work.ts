/**
 * What every method of a workspace begins with: whose it is, what the person named, and its turn.
 *
 * Whatever changes something runs in `exclusive`: alone, on a workspace that is whole. What is here is for
 * the classes that make up the public `Workspace`, one on top of the other: reading, turning, tool calls,
 * and the rest in engine-workspace.ts.
 */
import type { TreeRef } from '../backend/backend.ts';
import type { SnapshotId } from '../core/ids.ts';
import type { RawPath } from '../core/raw-path.ts';
import { workspaceDestroyed } from './destroyed-workspace.ts';
import { recoverSession } from './recover.ts';
import { resolveSnapshot } from './resolve-snapshot.ts';
import type { WorkspaceInfo } from './workspace-api.ts';
import type { WorkspaceHost } from './workspace-host.ts';
import { parseWorkspacePaths } from './workspace-paths.ts';
import type { WorkOn, WorkspaceSession } from './workspace-session.ts';

export abstract class WorkspaceWork {
  protected readonly session: WorkspaceSession;
  protected readonly host: WorkspaceHost;

  constructor(session: WorkspaceSession, host: WorkspaceHost) {
    this.session = session;
    this.host = host;
  }

  /** Ends the registration of a workspace that is no more. */
  protected abstract forget(): void;

  get info(): WorkspaceInfo {
    const { id: workspace, path, poolRoot } = this.session.ref;
    const { backend, pool } = this.host;
    return { workspace, path, backend, pool, poolRoot };
  }

  resolve(spec: string): SnapshotId {
    return resolveSnapshot(this.session.ports.catalog, this.session.ref.id, spec);
  }

  /** Alone on the workspace, after ending what an earlier failure or another process's crash left in flight. */
  protected exclusive<T>(on: WorkOn, work: () => Promise<T> | T): Promise<T> {
    return this.session.run(on, async () => {
      if (this.session.state.inFlight !== null) await recoverSession(this.session);
      this.assertNotDestroyed();
      return await work();
    });
  }

  /** Alone on the workspace, without touching the tree. */
  protected record<T>(purpose: string, request: Partial<WorkOn>, work: () => T): Promise<T> {
    return this.exclusive({ ...request, purpose }, async () => work());
  }

  /** A `destroy` that was cut short is ended by recovery; the registration must not outlive it. */
  protected assertNotDestroyed(): void {
    if (this.session.state.status !== 'destroyed') return;
    this.forget();
    throw workspaceDestroyed(this.info.path);
  }

  protected treeRef(spec: string): TreeRef {
    return spec === 'live' ? 'live' : this.resolve(spec);
  }

  protected paths(texts: readonly string[]): readonly RawPath[] {
    const { info } = this;
    const located = texts.map((text) => this.host.locate(info, text));
    return parseWorkspacePaths(info.path, located);
  }
}
