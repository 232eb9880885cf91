/**
 * `workspace.json`: which directory a workspace is.
 *
 * The identity is device, inode and birth time of the root directory: it survives a rename of its
 * parents, not a replacement. The device is left out of the comparison when the birth time is known,
 * because device numbers change with a reboot. A workspace that was deleted and comes back with a
 * rollback is another inode, so the record lists every identity that may stand at the path; the first,
 * `anchor`, never changes and is what callers see. `phase` is the intent of a release.
 */
import { readFileSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { recordMissing } from '../record-missing.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { AT_FDCWD } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import { writeDurably } from './durable-file.ts';
import { workspacePaths } from './store-layout.ts';

const FORMAT = 1;

export interface WorkspaceRecord {
  readonly format: number;
  readonly id: string;
  /** Where it was at the time of writing; for people. */
  readonly path: string;
  readonly phase: 'active' | 'releasing';
  readonly anchor: string;
  readonly identities: readonly string[];
}

const statx = new Statx();
const S_IFDIR = 0x4000;

/** @throws GhostsnapError WORKSPACE_GONE, NOT_PERMITTED */
export function identityAt(path: string): string {
  let errno = statx.tryRead(AT_FDCWD, `${rawFromText(path)}/.`);
  // Its owner may have closed the directory itself: it can still be looked at from outside.
  if (errno === 13) errno = statx.tryRead(AT_FDCWD, rawFromText(path));
  const isGone = errno === 2 || errno === 20 || (errno === 0 && (statx.mode & 0xf000) !== S_IFDIR);
  if (isGone) {
    throw new GhostsnapError('WORKSPACE_GONE', `No directory is at the workspace's path: ${path}`, {
      data: { path },
      hint: 'If it was moved, run "ghostsnap recover" there; if deleted, roll back a snapshot.',
    });
  }
  if (errno !== 0) {
    const message = `The workspace can't be looked at: ${path}`;
    const hint = 'Give your user access to the directories above it.';
    throw new GhostsnapError('NOT_PERMITTED', message, { data: { path }, hint });
  }
  const { btimeNs, dev, ino } = statx;
  return btimeNs === 0n ? `${dev}.${ino}.0` : `-.${ino}.${btimeNs}`;
}

/** Whether the directory at a path is one of these; what can't be looked at is none. */
export function isOneOf(identities: readonly string[], path: string): boolean {
  try {
    return identities.includes(identityAt(path));
  } catch (error) {
    if (error instanceof GhostsnapError) return false;
    throw error;
  }
}

/** The record of a directory that becomes a workspace. */
export function newWorkspaceRecord(ref: WorkspaceRef): WorkspaceRecord {
  const anchor = identityAt(ref.path);
  const { id, path } = ref;
  return { format: FORMAT, id, path, phase: 'active', anchor, identities: [anchor] };
}

export function writeWorkspaceRecord(ref: WorkspaceRef, record: WorkspaceRecord): void {
  const paths = workspacePaths(ref.poolRoot, ref.id);
  writeDurably({
    path: paths.record,
    bytes: Buffer.from(`${JSON.stringify(record)}\n`),
    temporaryPath: `${paths.record}.new`,
  });
}

/** null: there is none. @throws GhostsnapError FORMAT_TOO_NEW, FORMAT_UNKNOWN, NOT_PERMITTED, IO */
export function readWorkspaceRecord(ref: WorkspaceRef): WorkspaceRecord | null {
  const { record: path } = workspacePaths(ref.poolRoot, ref.id);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw toGhostsnapError(error, { what: 'Reading', path: rawFromText(path) });
  }
  return parseRecord(text, path, ref);
}

function parseRecord(text: string, path: string, ref: WorkspaceRef): WorkspaceRecord {
  let value: Partial<WorkspaceRecord> | null;
  try {
    value = JSON.parse(text) as Partial<WorkspaceRecord> | null;
  } catch (error) {
    throw unknownRecord(path, error);
  }
  if (typeof value?.format !== 'number') throw unknownRecord(path, null);
  if (value.format > FORMAT) {
    throw new GhostsnapError(
      'FORMAT_TOO_NEW',
      `The record has the format ${value.format}: ${path}`,
      {
        data: { path, format: value.format },
        hint: 'Use the version of ghostsnap that wrote it, or a later one.',
      },
    );
  }
  const { format, id, path: recorded, phase, anchor, identities } = value;
  const isWhole =
    id === ref.id &&
    typeof recorded === 'string' &&
    typeof anchor === 'string' &&
    (phase === 'active' || phase === 'releasing') &&
    Array.isArray(identities);
  if (!isWhole) throw unknownRecord(path, null);
  return { format, id, path: recorded, phase, anchor, identities };
}

function unknownRecord(path: string, cause: unknown): GhostsnapError {
  return new GhostsnapError('FORMAT_UNKNOWN', `This is not a workspace's record: ${path}`, {
    data: { path },
    hint: 'Remove the file, then run "ghostsnap recover": the snapshots are not touched.',
    cause,
  });
}

/**
 * The record, when the directory at the path is the one that was made a workspace.
 * @throws GhostsnapError WORKSPACE_GONE, WORKSPACE_REPLACED, WORKSPACE_NOT_FOUND
 */
export function requireWorkspace(ref: WorkspaceRef): WorkspaceRecord {
  const record = requireRecord(ref);
  if (record.identities.includes(identityAt(ref.path))) return record;
  throw replaced(ref);
}

/** @throws GhostsnapError WORKSPACE_NOT_FOUND */
export function requireRecord(ref: WorkspaceRef): WorkspaceRecord {
  const record = readWorkspaceRecord(ref);
  if (record !== null) return record;
  throw recordMissing(ref, workspacePaths(ref.poolRoot, ref.id).record);
}

export function replaced(ref: WorkspaceRef): GhostsnapError {
  const message = `Something else is at the workspace's path: ${ref.path}`;
  return new GhostsnapError('WORKSPACE_REPLACED', message, {
    data: { path: ref.path },
    hint:
      'If the workspace was moved, run "ghostsnap recover" where it is now. To give up its path, ' +
      'run "ghostsnap recover --forget" here.',
  });
}
