/**
 * Turning a workspace: back to a snapshot, some paths of it, a step back or forth, or what one tool call did;
 * and what each of those would do. Trees that are written beside the workspace belong here too.
 *
 * A plan takes no lock, and the turn itself resolves and checks again what it needs.
 */
import type { WorkOptions } from '../backend/backend.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import type { Verdict } from '../core/policy/policy-rule.ts';
import { displayPath, type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import { chooseMode } from './choose-mode.ts';
import type { RollbackRequest, TurnResult } from './results.ts';
import { turnTree } from './turn-tree.ts';
import type { UndoCallPlan, UndoCallRequest, UndoCallResult } from './undo-call.ts';
import { findRedoTarget, findUndoTarget } from './undo-redo.ts';
import type { JudgeTurnRequest, RollbackPlan } from './workspace-api.ts';
import { WorkspaceReading } from './workspace-reading.ts';

export abstract class WorkspaceTurns extends WorkspaceReading {
  async planRollback(spec: string, request: RollbackRequest = {}): Promise<RollbackPlan> {
    const target = this.resolve(spec);
    const { backend } = this.session.ports;
    const chosen = await chooseMode(backend, this.session.ref, target, request.mode ?? 'auto');
    const changes = backend.compare(this.session.ref, 'live', target, {
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
    return { target, mode: chosen.mode, modeReason: chosen.reason, changes };
  }

  async rollback(spec: string, request: RollbackRequest = {}): Promise<TurnResult> {
    const target = this.resolve(spec);
    return await this.exclusive({ ...request, purpose: 'rollback' }, () =>
      turnTree(this.session, { ...request, kind: 'rollback', target, cursor: null, paths: [] }),
    );
  }

  async planRestore(
    spec: string,
    paths: readonly string[],
    work: Pick<WorkOptions, 'signal'> = {},
  ): Promise<RollbackPlan> {
    const target = this.resolve(spec);
    const parsed = await this.#pathsInSnapshot(target, paths);
    const changes = this.session.ports.backend.compare(this.session.ref, 'live', target, {
      ...(work.signal === undefined ? {} : { signal: work.signal }),
      paths: parsed,
    });
    return { target, mode: 'in-place', modeReason: 'single paths are restored in place', changes };
  }

  async restore(
    spec: string,
    paths: readonly string[],
    request: Omit<RollbackRequest, 'mode'> = {},
  ): Promise<TurnResult> {
    const target = this.resolve(spec);
    const parsed = await this.#pathsInSnapshot(target, paths);
    return await this.exclusive({ ...request, purpose: 'restore' }, () =>
      turnTree(this.session, {
        ...request,
        kind: 'restore',
        target,
        cursor: null,
        paths: parsed,
      }),
    );
  }

  async extract(
    spec: string,
    paths: readonly string[],
    directory: string,
    work: WorkOptions = {},
  ): Promise<{ changes: number; notes: TurnResult['notes'] }> {
    const target = this.resolve(spec);
    const parsed = await this.#pathsInSnapshot(target, paths);
    const { backend } = this.session.ports;
    const places = parsed.map((path) => `${directory}/${displayPath(path)}`);
    this.host.assertWritable(this.info, [directory, ...places]);
    return await backend.extract(this.session.ref, target, parsed, directory, work);
  }

  async makeScratch(spec: string, work: WorkOptions = {}): Promise<{ path: string }> {
    const { backend } = this.session.ports;
    return { path: await backend.makeScratch(this.session.ref, this.resolve(spec), work) };
  }

  removeScratch(): Promise<void> {
    return this.session.ports.backend.removeScratch(this.session.ref);
  }

  async planWalk(
    direction: 'undo' | 'redo',
    request: { readonly signal?: AbortSignal } = {},
  ): Promise<RollbackPlan> {
    const find = direction === 'undo' ? findUndoTarget : findRedoTarget;
    const on = { purpose: `plan ${direction}`, signal: request.signal };
    const { target } = await this.exclusive(on, () => find(this.session));
    return await this.planRollback(target, request);
  }

  undo(request: RollbackRequest = {}): Promise<TurnResult> {
    return this.#walk('undo', request);
  }

  redo(request: RollbackRequest = {}): Promise<TurnResult> {
    return this.#walk('redo', request);
  }

  async planUndoCall(call: string, options: { signal?: AbortSignal } = {}): Promise<UndoCallPlan> {
    const { planUndoCall } = await import('./undo-call.ts');
    return await planUndoCall(this.session, call, options.signal);
  }

  async undoCall(call: string, request: UndoCallRequest = {}): Promise<UndoCallResult> {
    const { undoCall } = await import('./undo-call.ts');
    return await this.exclusive({ ...request, purpose: 'undo a tool call' }, () =>
      undoCall(this.session, call, request),
    );
  }

  async judgeTurn(spec: string, request: JudgeTurnRequest = {}): Promise<Verdict> {
    const { paths = [], ...rest } = request;
    const turn = { target: this.resolve(spec), paths: this.paths(paths), ...rest };
    const { judgeTurn } = await import('./judge-turn.ts');
    return await judgeTurn(this.session, this.host.judging, turn);
  }

  async #walk(kind: 'undo' | 'redo', request: RollbackRequest): Promise<TurnResult> {
    const find = kind === 'undo' ? findUndoTarget : findRedoTarget;
    return await this.exclusive({ ...request, purpose: kind }, async () => {
      const { target, position } = await find(this.session);
      const turn = { ...request, kind, target, cursor: position, paths: [] };
      return await turnTree(this.session, turn);
    });
  }

  /** @throws GhostsnapError PATH_NOT_IN_SNAPSHOT, before anything is touched */
  async #pathsInSnapshot(
    target: SnapshotId,
    texts: readonly string[],
  ): Promise<readonly RawPath[]> {
    const parsed = this.paths(texts);
    using tree = await this.openTree(target);
    for (const [index, path] of parsed.entries()) {
      if (path === ROOT_PATH || tree.lookup(path) !== null) continue;
      throw new GhostsnapError(
        'PATH_NOT_IN_SNAPSHOT',
        `The snapshot ${target} does not hold the path ${texts[index] ?? ''}`,
        { hint: `See what changed with "ghostsnap diff ${target}".` },
      );
    }
    return parsed;
  }
}
