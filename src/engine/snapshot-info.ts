/** From catalog rows to what the public API shows. */
import { ulidOf, ulidTimeMs } from '../core/ids.ts';
import type { SnapshotRow } from './ports.ts';
import type { SnapshotInfo } from './results.ts';

export function snapshotInfo(row: SnapshotRow): SnapshotInfo {
  const { id, role, label, tool, session, call, pinned, parent } = row;
  const createdAt = isoTime(row.createdAtMs);
  return { id, createdAt, role, label, tool, session, call, pinned, parent };
}

/** The time that an id carries, as ISO 8601 in UTC with milliseconds. */
export function createdAtOf(id: SnapshotRow['id']): string {
  return isoTime(ulidTimeMs(ulidOf(id)));
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
