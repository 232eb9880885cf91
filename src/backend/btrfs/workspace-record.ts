/**
 * `workspace.json`: what a workspace's own directory in the pool says about it.
 *
 * It is replaced whole and synced, so a crash leaves the old or the new record. `subvolumes` says
 * which subvolume stands at the path; those that swaps put there are announced by a name beside the
 * record (workspace-directory.ts), which costs no sync. So a swap never looks like a replacement, and
 * whatever a person puts at the path always does. `phase` is the intent of init, release and the move
 * into a pool: recovery reads it to finish or take back.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { isWorkspaceId, type WorkspaceId } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';

export const RECORD_FORMAT = 1;
const RECORD_NAME = 'workspace.json';

/**
 * active: nothing is under way. converting: a copy is made beside a plain directory. moving: a copy is
 * made in the pool. emptying: the copy is at the path, the original is being removed. releasing: a plain
 * copy is made. dissolving: the plain copy is at the path, everything else is being removed.
 */
export type RecordPhase =
  | 'active'
  | 'converting'
  | 'moving'
  | 'emptying'
  | 'releasing'
  | 'dissolving';

export interface WorkspaceRecord {
  readonly format: typeof RECORD_FORMAT;
  readonly id: WorkspaceId;
  /** The path at the time of writing; for people and for recovery of the move into a pool. */
  readonly path: string;
  readonly phase: RecordPhase;
  /** Never changes: the identity's token. */
  readonly anchor: string;
  /** UUIDs (32 hexadecimal digits) of the subvolumes that are this workspace. */
  readonly subvolumes: readonly string[];
  /** What stood at the path before init. A subvolume stays one on release. */
  readonly origin: 'directory' | 'subvolume';
  /** How the path leads to the subvolume: it is there, it is mounted there, or a symlink names it. */
  readonly reachedBy: 'place' | 'bind-mount' | 'symlink';
  /** Of the directory that the tree is mounted over: inode and birth time (ns). Absent: not known. */
  readonly emptied?: string;
  /**
   * Nanoseconds since the epoch: when the comparison began that proved the copy. What was written to the
   * original from here on may be missing in the copy. Only while the copy takes the original's place.
   */
  readonly provenNs?: string;
}

/**
 * null: there is no record.
 * @throws GhostsnapError FORMAT_TOO_NEW, FORMAT_UNKNOWN, NOT_PERMITTED, IO
 */
export function readRecord(directory: string): WorkspaceRecord | null {
  const path = `${directory}/${RECORD_NAME}`;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw toGhostsnapError(error, { what: 'Reading the record', path: rawFromText(path) });
  }
  return parseRecord(text, path);
}

/** Nothing is under way, any more or again. */
export function activeAgain({ provenNs: _, ...record }: WorkspaceRecord): WorkspaceRecord {
  return { ...record, phase: 'active' };
}

/** Durable on return. @throws GhostsnapError POOL_FULL, NOT_PERMITTED, IO */
export function writeRecord(directory: string, record: WorkspaceRecord): void {
  const path = `${directory}/${RECORD_NAME}`;
  const temporary = `${path}.tmp`;
  try {
    const fd = openSync(temporary, 'w', 0o600);
    try {
      // One write may end short of room without an error: this goes on until it is told of one.
      writeFileSync(fd, `${JSON.stringify(record)}\n`);
      // Before the rename: a power loss must not leave the name on an empty file.
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    syncDirectory(directory);
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Writing the record', path: rawFromText(path) });
  }
}

/** Makes the names in a directory survive power loss. Throws Node's own errors. */
export function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function parseRecord(text: string, path: string): WorkspaceRecord {
  const value = parseJson(text, path);
  const format = value.format;
  if (typeof format === 'number' && format > RECORD_FORMAT) {
    throw new GhostsnapError('FORMAT_TOO_NEW', `${path} has format ${format}.`, {
      data: { path, format },
      hint: 'A newer ghostsnap wrote it; use that version.',
    });
  }
  if (!isRecord(value)) throw unknown(path);
  return value;
}

function parseJson(text: string, path: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch (cause) {
    throw unknown(path, cause);
  }
  throw unknown(path);
}

const PHASES: readonly unknown[] = [
  'active',
  'converting',
  'moving',
  'emptying',
  'releasing',
  'dissolving',
] satisfies RecordPhase[];

function isRecord(
  value: Readonly<Record<string, unknown>>,
): value is Readonly<Record<string, unknown>> & WorkspaceRecord {
  const subvolumes = value.subvolumes;
  return (
    value.format === RECORD_FORMAT &&
    typeof value.id === 'string' &&
    isWorkspaceId(value.id) &&
    typeof value.path === 'string' &&
    typeof value.anchor === 'string' &&
    PHASES.includes(value.phase) &&
    Array.isArray(subvolumes) &&
    subvolumes.every((uuid) => typeof uuid === 'string' && /^[0-9a-f]{32}$/.test(uuid)) &&
    (value.origin === 'directory' || value.origin === 'subvolume') &&
    ['place', 'bind-mount', 'symlink'].includes(String(value.reachedBy)) &&
    ['string', 'undefined'].includes(typeof value.emptied) &&
    (value.provenNs === undefined || /^\d{1,20}$/.test(String(value.provenNs)))
  );
}

function unknown(path: string, cause?: unknown): GhostsnapError {
  return new GhostsnapError('FORMAT_UNKNOWN', `${path} is not a workspace record.`, {
    data: { path },
    hint: 'Move the file aside, then run "ghostsnap recover"; snapshots are not affected.',
    cause,
  });
}
