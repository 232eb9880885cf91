/**
 * Does one operation of the public API between the injector's marks, and says how it ended.
 *
 * Argument: an `OperationRequest`. With `warm` the same is done first to another workspace, so that what
 * is loaded on first use is loaded before anything is made to fail.
 */
import { writeSync } from 'node:fs';
import {
  createPool,
  destroyPool,
  type Environment,
  GhostsnapError,
  initWorkspace,
  openWorkspace,
  type Workspace,
} from '../../src/index.ts';
import { mark } from './injector.ts';

/** What is done, with what: ids are of the workspace itself. */
export type OperationCall =
  | {
      readonly op: 'snapshot' | 'snapshot-sync' | 'arm' | 'undo' | 'redo' | 'recover' | 'retention';
    }
  | { readonly op: 'rollback' | 'swap' | 'pin' | 'unpin'; readonly id: string }
  | { readonly op: 'restore'; readonly id: string; readonly paths: readonly string[] }
  | { readonly op: 'label'; readonly id: string; readonly label: string }
  | { readonly op: 'prune'; readonly ids: readonly string[] }
  | { readonly op: 'open' | 'destroy' }
  | { readonly op: 'init'; readonly backend: 'btrfs' | 'store' }
  | { readonly op: 'move'; readonly pool: string }
  | { readonly op: 'pool-create'; readonly pool: string; readonly directory: string }
  | { readonly op: 'pool-destroy'; readonly pool: string };

export interface OperationRequest {
  readonly environment: Environment;
  /** The workspace, or what becomes one. */
  readonly path: string;
  readonly call: OperationCall;
  /** Done before, on another workspace. */
  readonly warm?: { readonly path: string; readonly call: OperationCall };
  /** Kills itself at this labelled step, counted from 1. */
  readonly killAtStep?: number;
}

export interface OperationOutcome {
  readonly ok: boolean;
  readonly labels: readonly string[];
  readonly error: { readonly code: string; readonly message: string } | null;
}

const POOL_BYTES = 128 * 2 ** 20;

class Operation {
  readonly labels: string[] = [];
  readonly #request: OperationRequest;
  readonly #mark: typeof mark;

  constructor(request: OperationRequest, marks: 'marked' | 'unmarked') {
    this.#request = request;
    this.#mark = marks === 'marked' ? mark : () => undefined;
  }

  readonly onStep = (label: string): void => {
    this.labels.push(label);
    if (this.labels.length === this.#request.killAtStep) process.kill(process.pid, 'SIGKILL');
  };

  async run(path: string, call: OperationCall): Promise<void> {
    const { environment } = this.#request;
    const { onStep } = this;
    switch (call.op) {
      case 'open': {
        this.#mark('begin');
        await using _workspace = await openWorkspace({ workspace: path, environment });
        this.#mark('end');
        return;
      }
      case 'init':
        this.#mark('begin');
        await initWorkspace({ path, environment, backend: call.backend, onStep });
        break;
      case 'move':
        this.#mark('begin');
        await initWorkspace({ path, environment, pool: call.pool, onStep });
        break;
      case 'pool-create':
        this.#mark('begin');
        await createPool({
          ...{ name: call.pool, directory: call.directory, environment },
          sizeBytes: POOL_BYTES,
        });
        break;
      case 'pool-destroy':
        this.#mark('begin');
        await destroyPool({ name: call.pool, environment });
        break;
      default: {
        await using workspace = await openWorkspace({ workspace: path, environment });
        this.#mark('begin');
        try {
          await onWorkspace(workspace, call, onStep);
        } finally {
          this.#mark('end');
        }
      }
    }
    this.#mark('end');
  }
}

type WorkspaceCall = Exclude<
  OperationCall,
  { op: 'open' | 'init' | 'move' | 'pool-create' | 'pool-destroy' }
>;

async function onWorkspace(
  workspace: Workspace,
  call: WorkspaceCall,
  onStep: (label: string) => void,
): Promise<unknown> {
  switch (call.op) {
    case 'snapshot':
      return await workspace.snapshot();
    case 'snapshot-sync':
      return workspace.snapshotSync();
    case 'arm':
      return await workspace.arm();
    case 'rollback':
      return await workspace.rollback(call.id, { mode: 'in-place', onStep });
    case 'swap':
      return await workspace.rollback(call.id, { mode: 'swap', onStep });
    case 'restore':
      return await workspace.restore(call.id, call.paths, { onStep });
    case 'undo':
      return await workspace.undo({ onStep });
    case 'redo':
      return await workspace.redo({ onStep });
    case 'pin':
      return workspace.pin(call.id);
    case 'unpin':
      return workspace.unpin(call.id);
    case 'label':
      return workspace.label(call.id, call.label);
    case 'prune':
      return await workspace.prune({ specs: call.ids, onStep });
    case 'retention':
      return await workspace.prune({ onStep });
    case 'recover':
      return await workspace.recover();
    default:
      return await workspace.destroy({ onStep });
  }
}

async function outcomeOf(
  request: OperationRequest,
  marks: 'marked' | 'unmarked',
): Promise<OperationOutcome> {
  const operation = new Operation(request, marks);
  try {
    await operation.run(request.path, request.call);
    return { ok: true, labels: operation.labels, error: null };
  } catch (error) {
    mark('end');
    const { labels } = operation;
    if (error instanceof GhostsnapError) {
      return { ok: false, labels, error: { code: error.code, message: error.message } };
    }
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { ok: false, labels, error: { code: 'not a GhostsnapError', message } };
  }
}

const request = JSON.parse(process.argv[2] ?? '{}') as OperationRequest;
if (request.warm !== undefined) {
  const { warm, environment } = request;
  // Whether there was anything to do on it matters to nobody: what it needs is loaded afterwards.
  await outcomeOf({ environment, path: warm.path, call: warm.call }, 'unmarked');
}
writeSync(1, `${JSON.stringify(await outcomeOf(request, 'marked'))}\n`);
