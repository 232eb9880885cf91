/** From catalog rows to what the public API shows. */
import { ulidOf, ulidTimeMs } from '../core/ids.ts';
import type { SnapshotRow } from './ports.ts';
import type { SnapshotInfo } from './results.ts';

/**
 * The time is the id's own, everywhere the same: the record comes a little later, and that of an adopted
 * snapshot says when it was found.
 */
export function snapshotInfo(row: SnapshotRow): SnapshotInfo {
  const { id, role, label, tool, session, call, pinned, parent } = row;
  const createdAt = createdAtOf(id);
  return { id, createdAt, role, label, tool, session, call, pinned, parent };
}

/** The time that an id carries, as ISO 8601 in UTC with milliseconds. */
export function createdAtOf(id: SnapshotRow['id']): string {
  return isoTime(ulidTimeMs(ulidOf(id)));
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
