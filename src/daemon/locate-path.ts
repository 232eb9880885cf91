/**
 * Absolute paths as a person names them, as paths of a workspace.
 *
 * A workspace may be reached by a symlink, and its tree may lie in a pool: what is named by either is in the
 * workspace all the same. The part of a path that is there is looked up; what it does not lead to, a file that
 * was deleted, keeps its name, and so does the path's last part, which may be a symlink itself.
 */
import fs from 'node:fs';
import path from 'node:path';
import { displayPath } from '../core/raw-path.ts';
import type { WorkspaceInfo } from '../engine/workspace-api.ts';
import { realPathOf } from './workspace-around.ts';

/** The text as it was given where it is relative, inside by its name, or outside. */
export function locatePath(info: WorkspaceInfo, text: string): string {
  const isInsideByName = text === info.path || text.startsWith(`${info.path}/`);
  if (!text.startsWith('/') || isInsideByName) return text;
  const roots = [info.path, treeInPool(info)].map((root) => Buffer.from(realPathOf(root)));
  const segments = text.split('/');
  for (let count = segments.length - 1; count > 0; count -= 1) {
    const real = realPathBytes(segments.slice(0, count).join('/') || '/');
    if (real === null) continue;
    const inside = belowOneOf(roots, real);
    return inside === null
      ? rootItself(roots, text, info)
      : [info.path, inside, ...segments.slice(count)].join('/');
  }
  return text;
}

/** Where the tree of a workspace lies that was moved into its pool. */
export function treeInPool({ poolRoot, workspace }: WorkspaceInfo): string {
  return path.join(poolRoot, 'work', workspace);
}

/** A symlink that leads to the workspace is the workspace; one that leads into it is an entry like any other. */
function rootItself(roots: readonly Buffer[], text: string, info: WorkspaceInfo): string {
  const real = realPathBytes(text);
  return real !== null && roots.some((root) => root.equals(real)) ? info.path : text;
}

/** null: it is not there, or nobody may look. */
function realPathBytes(at: string): Buffer | null {
  try {
    return fs.realpathSync(at, 'buffer');
  } catch {
    return null;
  }
}

/** As `displayPath` prints it; null: outside. */
function belowOneOf(roots: readonly Buffer[], real: Buffer): string | null {
  for (const root of roots) {
    if (real.equals(root)) return '';
    const below = real.subarray(root.length + 1);
    if (real.subarray(0, root.length).equals(root) && real[root.length] === 0x2f) {
      return displayPath(below.toString('latin1'));
    }
  }
  return null;
}
