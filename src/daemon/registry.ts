/**
 * The registry: which directory is which workspace, and which pools there are.
 *
 * One file a workspace, named by a hash of its path, so that "the workspace around this directory" is
 * one lookup a level and never a scan. One directory a pool, which also holds its catalog and locks.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { namesIfThere } from '../backend/if-there.ts';
import { GhostsnapError } from '../core/errors.ts';
import { isWorkspaceId, type PoolId, type WorkspaceId } from '../core/ids.ts';
import type { PoolRecord } from '../pool/pool.ts';
import { type Home, poolDirectory } from './home.ts';
import { readRecord, removeRecord, writeRecord } from './record-file.ts';
import { removeDeadTemporaries } from './replace-file.ts';

export interface WorkspaceRecord {
  readonly format: 1;
  readonly id: WorkspaceId;
  /** Absolute real path. */
  readonly path: string;
  /** The pool's name. */
  readonly pool: string;
  readonly backend: 'btrfs' | 'store';
  /** Set when the tree was moved into a pool: the path is then a mount or a symlink to here. */
  readonly movedTo: string | null;
}

const POOL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** @throws GhostsnapError BAD_ARGUMENT */
export function parsePoolName(name: string): string {
  if (POOL_NAME.test(name)) return name;
  throw new GhostsnapError('BAD_ARGUMENT', `${JSON.stringify(name)} cannot be a pool's name.`, {
    hint: 'Use letters, digits, ".", "_" and "-", at most 64, beginning with a letter or digit.',
  });
}

export function readPool(home: Home, name: string): PoolRecord | null {
  return readRecord(path.join(poolDirectory(home, name), 'pool.json'), parsePool);
}

export function writePool(home: Home, record: PoolRecord): void {
  writeRecord(path.join(poolDirectory(home, record.name), 'pool.json'), record);
}

/** Removes the record alone; whatever else is in the pool's directory stays. */
export function removePool(home: Home, name: string): void {
  removeRecord(path.join(poolDirectory(home, name), 'pool.json'));
}

/** In order of names; directories without a record are passed over. */
export function listPoolRecords(home: Home): PoolRecord[] {
  const directory = path.join(home.data, 'pools');
  const names = namesIfThere(directory).filter((name) => POOL_NAME.test(name));
  return names.sort().flatMap((name) => readPool(home, name) ?? []);
}

export function readWorkspace(home: Home, workspacePath: string): WorkspaceRecord | null {
  return readRecord(workspaceFile(home, workspacePath), parseWorkspace);
}

export function writeWorkspace(home: Home, record: WorkspaceRecord): void {
  writeRecord(workspaceFile(home, record.path), record);
}

export function removeWorkspace(home: Home, workspacePath: string): void {
  removeRecord(workspaceFile(home, workspacePath));
}

export function listWorkspaceRecords(home: Home): WorkspaceRecord[] {
  return recordsIn(workspacesDirectory(home));
}

/** The first `init` makes it, and nothing takes it away again. */
export function workspacesDirectory(home: Home): string {
  return path.join(home.data, 'workspaces');
}

/**
 * Takes a workspace off the register and remembers it apart: its snapshots are still there, and a
 * directory that turns out to be it is bound again. First remembered, then taken off.
 */
export function setForgotten(home: Home, record: WorkspaceRecord): void {
  writeRecord(forgottenFile(home, record.id), record);
  removeWorkspace(home, record.path);
}

/** For good. One that is already gone counts as removed. */
export function removeForgotten(home: Home, id: WorkspaceId): void {
  removeRecord(forgottenFile(home, id));
}

export function listForgotten(home: Home): WorkspaceRecord[] {
  return recordsIn(path.join(home.data, 'forgotten'));
}

/** What killed processes left beside records; for a command that is asked to put things right. */
export function removeLeftRecords(home: Home): void {
  for (const name of ['workspaces', 'forgotten', 'bisect']) {
    removeDeadTemporaries(path.join(home.data, name));
  }
  for (const { name } of listPoolRecords(home)) removeDeadTemporaries(poolDirectory(home, name));
}

/** The record of the nearest workspace that `directory` is or lies in; null when there is none. */
export function findWorkspaceAround(home: Home, directory: string): WorkspaceRecord | null {
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    const record = readWorkspace(home, at);
    if (record !== null) return record;
    if (at === path.dirname(at)) return null;
  }
}

/** Whether `inner` is `outer` or lies below it; by name. */
export function isInside(inner: string, outer: string): boolean {
  const relative = path.relative(outer, inner);
  return relative === '' || (!relative.startsWith(`..${path.sep}`) && relative !== '..');
}

function recordsIn(directory: string): WorkspaceRecord[] {
  const files = namesIfThere(directory).filter((name) => name.endsWith('.json'));
  return files
    .sort()
    .flatMap((name) => readRecord(path.join(directory, name), parseWorkspace) ?? []);
}

function forgottenFile(home: Home, id: WorkspaceId): string {
  return path.join(home.data, 'forgotten', `${id}.json`);
}

function workspaceFile(home: Home, workspacePath: string): string {
  const name = createHash('sha256').update(workspacePath).digest('hex').slice(0, 32);
  return path.join(workspacesDirectory(home), `${name}.json`);
}

function parsePool(value: unknown): PoolRecord | null {
  if (!isFields(value)) return null;
  const { format, id, name, kind, root, image, createdAtMs } = value;
  if (format !== 1 || typeof id !== 'string' || !id.startsWith('pool_')) return null;
  if (typeof name !== 'string' || typeof root !== 'string' || !path.isAbsolute(root)) return null;
  if (kind !== 'image' && kind !== 'btrfs' && kind !== 'store') return null;
  if (image !== null && typeof image !== 'string') return null;
  if (typeof createdAtMs !== 'number') return null;
  return { format, id: id as PoolId, name, kind, root, image, createdAtMs };
}

function parseWorkspace(value: unknown): WorkspaceRecord | null {
  if (!isFields(value)) return null;
  const { format, id, pool, backend, movedTo = null } = value;
  const where = value.path;
  if (format !== 1 || typeof id !== 'string' || !isWorkspaceId(id)) return null;
  if (typeof where !== 'string' || !path.isAbsolute(where)) return null;
  if (typeof pool !== 'string' || !POOL_NAME.test(pool)) return null;
  if (backend !== 'btrfs' && backend !== 'store') return null;
  if (movedTo !== null && typeof movedTo !== 'string') return null;
  return { format, id, path: where, pool, backend, movedTo };
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
