/** Turning one directory into another, in this process or in one of its own. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { ApplyResult } from '../../src/backend/backend.ts';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { type ApplyRequest, applyTree } from '../../src/backend/tree-apply.ts';

type Extra = Partial<Omit<ApplyRequest, 'livePath' | 'source'>>;

/** Without any evidence: what differs is found by looking. */
export async function turn(live: string, source: string, extra: Extra = {}): Promise<ApplyResult> {
  using tree = openDirectoryTree(source, 'live');
  return await applyTree({
    livePath: live,
    source: tree,
    sameContent: () => 'unknown',
    ...extra,
  });
}

export interface ApplyChildRequest {
  readonly live: string;
  readonly source: string;
  readonly killAt?: string;
}

export interface ApplyChildOutcome {
  readonly killed: boolean;
  readonly labels: readonly string[];
  readonly result: {
    readonly changes: number;
    readonly notes: readonly { readonly path: string; readonly what: string }[];
  } | null;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly data: { readonly paths?: readonly string[] };
  } | null;
}

/** @param uid drops to it (and the same group) before anything is loaded; absent: stays who we are */
export function turnInChild(request: ApplyChildRequest, uid?: number): ApplyChildOutcome {
  const script = join(import.meta.dirname, 'apply-child.ts');
  const child = spawnSync(process.execPath, [script, JSON.stringify(request)], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, HOME: '/nonexistent', NODE_COMPILE_CACHE: '' },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  if (child.signal === 'SIGKILL') return { killed: true, labels: [], result: null, error: null };
  if (child.status !== 0) throw new Error(`The child failed: ${child.stderr}`);
  const { labels, result = null, error = null } = JSON.parse(child.stdout);
  return { killed: false, labels, result, error };
}
