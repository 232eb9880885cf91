/**
 * The record of a bisect, one file a workspace: `bisect/<workspace id>.json`.
 *
 * Whoever writes it holds a lock that dies with the process, so that two commands cannot take each other's
 * scratch tree away. Reading needs none: records are replaced whole. Each step writes the record, with the
 * time, by which retention knows whether somebody is still at it.
 */
import path from 'node:path';
import { BISECT_VERDICTS, type BisectMark, type BisectVerdict } from '../core/bisect.ts';
import { isSnapshotId, type SnapshotId, type WorkspaceId } from '../core/ids.ts';
import type { BisectUnderWay } from '../core/retention/keep-bisected.ts';
import type { BisectRecord, BisectStore } from '../engine/bisect.ts';
import { createFileLocks } from '../locks/file-locks.ts';
import { type Environment, type Home, resolveHome } from './home.ts';
import { readRecord, removeRecord, writeRecord } from './record-file.ts';

export interface BisectFileOptions {
  readonly environment: Environment;
  readonly workspace: WorkspaceId;
}

export interface OpenBisect extends BisectStore, Disposable {}

/** Alone with it until disposed. @throws GhostsnapError LOCKED when another command has it */
export async function openBisect(options: BisectFileOptions): Promise<OpenBisect> {
  const home = resolveHome(options.environment);
  const locks = createFileLocks(path.join(home.data, 'bisect'));
  const lock = await locks.acquire(options.workspace, { waitMs: 0, purpose: 'bisect' });
  const file = bisectFile(home, options.workspace);
  return {
    read: () => readRecord(file, parseBisect),
    write: (record) => writeRecord(file, { ...record, steppedAtMs: Date.now() }),
    remove: () => removeRecord(file),
    [Symbol.dispose]: () => {
      lock[Symbol.dispose]();
      locks[Symbol.dispose]();
    },
  };
}

/** null: none is under way. */
export function readBisect(options: BisectFileOptions): BisectRecord | null {
  return readRecord(bisectFile(resolveHome(options.environment), options.workspace), parseBisect);
}

/** What retention keeps for it. A record of a version that wrote no time keeps nothing. */
export function bisectUnderWay(home: Home, workspace: WorkspaceId): BisectUnderWay | null {
  return readRecord(bisectFile(home, workspace), (value) => {
    const record = parseBisect(value);
    if (record === null || !isFields(value)) return null;
    const { steppedAtMs = 0 } = value;
    return typeof steppedAtMs === 'number' ? { ...record, steppedAtMs } : null;
  });
}

/** With the end of its workspace. One that is not there counts as removed. */
export function removeBisect(home: Home, workspace: WorkspaceId): void {
  removeRecord(bisectFile(home, workspace));
}

function bisectFile(home: Home, workspace: WorkspaceId): string {
  return path.join(home.data, 'bisect', `${workspace}.json`);
}

function parseBisect(value: unknown): BisectRecord | null {
  if (!isFields(value)) return null;
  const { format, workspace, good, bad, where, origin, current } = value;
  const marks = parseMarks(value.marks);
  const at = value.path;
  if (format !== 1 || typeof workspace !== 'string' || marks === null) return null;
  if (!isState(good) || !isState(bad) || (where !== 'scratch' && where !== 'in-place')) return null;
  if (!isStateOrNull(origin) || !isStateOrNull(current)) return null;
  if (at !== null && typeof at !== 'string') return null;
  const id = workspace as WorkspaceId;
  return { format, workspace: id, good, bad, marks, where, origin, current, path: at };
}

function parseMarks(value: unknown): readonly BisectMark[] | null {
  if (!Array.isArray(value)) return null;
  const marks = value.flatMap((mark: unknown) => {
    if (!isFields(mark)) return [];
    const { state, verdict } = mark;
    return isState(state) && isVerdict(verdict) ? [{ state, verdict }] : [];
  });
  return marks.length === value.length ? marks : null;
}

function isState(value: unknown): value is SnapshotId {
  return typeof value === 'string' && isSnapshotId(value);
}

function isStateOrNull(value: unknown): value is SnapshotId | null {
  return value === null || isState(value);
}

function isVerdict(value: unknown): value is BisectVerdict {
  return BISECT_VERDICTS.some((verdict) => verdict === value);
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
