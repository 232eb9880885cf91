/** Starts btrfs-child.ts, as root or as a plain user, and reads what it printed. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { WorkspaceRef } from '../../src/backend/backend.ts';

export interface ChildCall {
  /** Of the backend; `arming.arm` is one of its arming. */
  readonly method: string;
  /** After the workspace, without `onStep`. */
  readonly args?: readonly unknown[];
}

export interface ChildRequest {
  readonly ref: WorkspaceRef;
  readonly calls: readonly ChildCall[];
  /** The label at which it kills itself. */
  readonly killAt?: string;
}

export interface ChildOutcome {
  readonly killed: boolean;
  readonly results: readonly unknown[];
  readonly labels: readonly string[];
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
  } | null;
}

/** @param uid drops to it (and the same group) before anything is loaded; absent: stays who we are */
export function runBtrfsChild(request: ChildRequest, uid?: number): ChildOutcome {
  const script = join(import.meta.dirname, 'btrfs-child.ts');
  const child = spawnSync(process.execPath, [script, JSON.stringify(request)], {
    encoding: 'utf8',
    env: { ...process.env, HOME: '/nonexistent', NODE_COMPILE_CACHE: '' },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  if (child.signal === 'SIGKILL') return { killed: true, results: [], labels: [], error: null };
  if (child.status !== 0) throw new Error(`The child failed: ${child.stderr}`);
  const { results = [], labels = [], error = null } = JSON.parse(child.stdout);
  return { killed: false, results, labels, error };
}
