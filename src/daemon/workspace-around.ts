/**
 * Which workspace a directory is in: by where it really lies, then by how it was named.
 *
 * A symlink inside a workspace may lead into another one: what is done there is done to that other one. A
 * workspace that was moved into a pool is reached by a symlink itself, and the kernel names it as it lies there.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Home } from './home.ts';
import {
  findWorkspaceAround,
  isInside,
  listWorkspaceRecords,
  type WorkspaceRecord,
} from './registry.ts';

/** @param directory absolute; it need not be there any more */
export function workspaceAround(home: Home, directory: string): WorkspaceRecord | null {
  const real = realPathOf(directory);
  return (
    findWorkspaceAround(home, real) ??
    findMovedIntoPool(home, real) ??
    findWorkspaceAround(home, directory)
  );
}

function findMovedIntoPool(home: Home, real: string): WorkspaceRecord | null {
  const isAround = ({ movedTo }: WorkspaceRecord): boolean =>
    movedTo !== null && isInside(real, realPathOf(movedTo));
  return listWorkspaceRecords(home).find(isAround) ?? null;
}

/** Of what is gone the part that is still there is looked up. */
export function realPathOf(directory: string): string {
  const above = path.dirname(directory);
  try {
    return fs.realpathSync(directory);
  } catch {
    return above === directory ? directory : path.join(realPathOf(above), path.basename(directory));
  }
}
