/**
 * Works on one workspace for the hostile prover, as root or as a plain user, in a process that stays.
 *
 * First argument: the folder around the workspace. Each line of its input is a `HostileRequest`,
 * answered by one `HostileAnswer`; an error is an answer.
 */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  type Environment,
  GhostsnapError,
  initWorkspace,
  openWorkspace,
  type SnapshotId,
  type Workspace,
} from '../../src/index.ts';
import type { Place } from './witness.ts';

export type HostileRequest =
  | { readonly op: 'init'; readonly backend: 'btrfs' | 'store' }
  | { readonly op: 'snapshot' | 'recover' | 'thin-out' }
  | { readonly op: 'rollback'; readonly id: SnapshotId }
  | { readonly op: 'restore'; readonly id: SnapshotId; readonly paths: readonly string[] };

export interface HostileAnswer {
  /** null: it succeeded. 'none': an error without a code. */
  readonly code: string | null;
  readonly message: string;
  readonly snapshot: { readonly id: SnapshotId; readonly place: Place } | null;
}

class HostileWork {
  readonly #path: string;
  readonly #environment: Environment;
  #workspace: Workspace | null = null;

  constructor(folder: string) {
    this.#path = join(folder, 'work');
    this.#environment = {
      env: { GHOSTSNAP_HOME: join(folder, 'home'), PATH: process.env.PATH },
      cwd: '/',
      homeDir: folder,
      uid: process.getuid?.() ?? 0,
    };
  }

  async answer(request: HostileRequest): Promise<HostileAnswer> {
    try {
      const snapshot = await this.#run(request);
      return { code: null, message: '', snapshot };
    } catch (error) {
      const code = error instanceof GhostsnapError ? error.code : 'none';
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      return { code, message, snapshot: null };
    }
  }

  async #run(request: HostileRequest): Promise<HostileAnswer['snapshot']> {
    if (request.op === 'init') {
      const { backend } = request;
      await initWorkspace({ path: this.#path, environment: this.#environment, backend });
    }
    const workspace = await this.#open();
    switch (request.op) {
      case 'init': {
        const [first] = workspace.list();
        if (first === undefined) return null;
        await workspace.pin(first.id);
        return this.#placed(workspace, first.id);
      }
      case 'snapshot': {
        const { id } = await workspace.snapshot();
        await workspace.pin(id);
        return this.#placed(workspace, id);
      }
      case 'rollback':
        await workspace.rollback(request.id, { mode: 'in-place' });
        return null;
      case 'restore':
        await workspace.restore(request.id, request.paths);
        return null;
      case 'recover':
        await workspace.recover();
        return null;
      case 'thin-out': {
        const specs = workspace.list().filter(({ pinned }) => !pinned);
        // The last two may belong to a turn that has not ended.
        await workspace.prune({ specs: specs.slice(2).map(({ id }) => id) });
        return null;
      }
    }
  }

  #placed(workspace: Workspace, id: SnapshotId): { id: SnapshotId; place: Place } {
    const { poolRoot, workspace: ws, backend } = workspace.info;
    const place: Place =
      backend === 'store'
        ? { store: poolRoot, workspace: ws, snapshot: id }
        : { dir: join(poolRoot, '.ghostsnap', ws, id) };
    return { id, place };
  }

  async #open(): Promise<Workspace> {
    this.#workspace ??= await openWorkspace({
      workspace: this.#path,
      environment: this.#environment,
    });
    return this.#workspace;
  }

  async close(): Promise<void> {
    await this.#workspace?.close();
  }
}

const work = new HostileWork(process.argv[2] ?? '');
for await (const line of createInterface({ input: process.stdin })) {
  const answer = await work.answer(JSON.parse(line) as HostileRequest);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await work.close();
