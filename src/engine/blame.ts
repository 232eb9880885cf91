/**
 * Who last wrote each line of a file: the tool call between whose snapshot and the next one it appeared.
 *
 * The kept snapshots of the path are walked from the newest to the oldest, under the names it had before it
 * was moved. A line that a version has and the one before has not was written in between; who did it is the
 * call of the older snapshot, or whoever took it. Lines that the oldest snapshot has already are older than
 * anything that is known. One version and its predecessor are in memory, never more.
 */
import { diffArrays } from 'diff';
import type { TreeReader } from '../backend/backend.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { CallId, SnapshotId } from '../core/ids.ts';
import { BINARY_PROBE_BYTES, LINE_DIFF_BYTES_MAX, LINE_DIFF_EDITS_MAX } from '../core/limits.ts';
import { displayPath, type RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { CallRow, SnapshotRow } from './ports.ts';
import { withRenames } from './rename-stream.ts';
import { isoTime } from './snapshot-info.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** Where lines come from. */
export interface BlameOrigin {
  /** The state before they were written. */
  readonly snapshot: SnapshotId;
  readonly at: string;
  readonly label: string | null;
  readonly tool: string | null;
  readonly session: string | null;
  /** null: no call is recorded for the snapshot. */
  readonly call: CallId | null;
  /** What the person had asked for; null: not known. */
  readonly prompt: string | null;
  /** Other calls ran at the same time: it may have been one of them. */
  readonly overlaps: readonly CallId[];
}

export interface BlamedLine {
  readonly number: number;
  readonly text: string;
  /** Index in `origins`; null: older than the oldest snapshot that is kept. */
  readonly origin: number | null;
}

export interface Blame {
  /** Display form. */
  readonly path: string;
  readonly origins: readonly BlameOrigin[];
  readonly lines: readonly BlamedLine[];
}

interface Version {
  readonly path: RawPath;
  readonly entry: TreeEntry;
  readonly lines: readonly string[];
}

/**
 * Of the file as it is now. Reads only.
 * @throws GhostsnapError PATH_NOT_IN_SNAPSHOT when there is no such file, BAD_ARGUMENT when it is binary or no
 *   file, LIMIT_EXCEEDED when it is too long; INTERRUPTED through `signal`
 */
export async function blameFile(
  session: WorkspaceSession,
  path: RawPath,
  signal: AbortSignal | undefined,
): Promise<Blame> {
  const { backend, catalog } = session.ports;
  using live = await backend.openTree(session.ref, 'live');
  const now = requireVersion(live, path);
  const tracer = new Tracer(now);
  const origins: BlameOrigin[] = [];
  const calls = callsBySnapshot(catalog.listCalls(session.ref.id, {}));
  let newer: SnapshotId | 'live' = 'live';
  for (const row of catalog.listSnapshots(session.ref.id)) {
    signal?.throwIfAborted();
    if (tracer.isDone) break;
    using tree = await backend.openTree(session.ref, row.id);
    const older = await olderVersion(session, tree, { tracer, newer, signal });
    newer = row.id;
    if (older === 'same') continue;
    const isAnyNew = tracer.stepTo(older, origins.length);
    if (isAnyNew) origins.push(originOf(session, row, calls.get(row.id)));
  }
  return {
    path: displayPath(path),
    origins,
    lines: now.lines.map((line, i) => ({
      number: i + 1,
      text: textOf(line),
      origin: tracer.originAt(i),
    })),
  };
}

/** Follows the lines of the newest version down the older ones. */
class Tracer {
  version: Version;
  readonly #origins: (number | null)[];
  /** For each line of `version`: which lines of the newest one it is, if any is still open. */
  #open: (number | null)[];

  constructor(newest: Version) {
    this.version = newest;
    this.#origins = newest.lines.map(() => null);
    this.#open = newest.lines.map((_, i) => i);
  }

  get isDone(): boolean {
    return this.#open.every((line) => line === null);
  }

  originAt(line: number): number | null {
    return this.#origins[line] ?? null;
  }

  /** @returns whether a line was written between. null: there was no file before */
  stepTo(older: Version | null, origin: number): boolean {
    const kept: (number | null)[] = (older?.lines ?? []).map(() => null);
    const left = new Set(this.#open.filter((line) => line !== null));
    for (const { from, to } of commonLines(older?.lines ?? [], this.version.lines)) {
      const line = this.#open[to] ?? null;
      if (line === null) continue;
      kept[from] = line;
      left.delete(line);
    }
    for (const line of left) this.#origins[line] = origin;
    this.#open = kept;
    if (older !== null) this.version = older;
    return left.size > 0;
  }
}

/** Pairs of equal lines, by position; none when the versions differ in too many to say. */
function commonLines(
  older: readonly string[],
  newer: readonly string[],
): readonly { readonly from: number; readonly to: number }[] {
  const parts = diffArrays([...older], [...newer], { maxEditLength: LINE_DIFF_EDITS_MAX });
  const pairs: { from: number; to: number }[] = [];
  let from = 0;
  let to = 0;
  for (const { added, removed, value } of parts ?? []) {
    for (let i = 0; i < value.length && !added && !removed; i += 1) {
      pairs.push({ from: from + i, to: to + i });
    }
    if (!added) from += value.length;
    if (!removed) to += value.length;
  }
  return pairs;
}

/** 'same': nothing was written between. null: the file was not there under any name. */
async function olderVersion(
  session: WorkspaceSession,
  tree: TreeReader,
  at: {
    readonly tracer: Tracer;
    readonly newer: SnapshotId | 'live';
    readonly signal: AbortSignal | undefined;
  },
): Promise<Version | 'same' | null> {
  const { version } = at.tracer;
  const entry = tree.lookup(version.path);
  if (entry !== null && isUntouched(entry, version.entry)) return 'same';
  if (entry !== null) return versionAt(tree, version.path);
  const oldPath = await nameBefore(session, tree, { ...at, path: version.path });
  return oldPath === null ? null : versionAt(tree, oldPath);
}

/** A write moves the time stamp: equal in size and nanosecond is taken for the same content. */
function isUntouched(older: TreeEntry, newer: TreeEntry): boolean {
  const isFile = older.type === 'file' && newer.type === 'file';
  return isFile && older.sizeBytes === newer.sizeBytes && older.mtimeNs === newer.mtimeNs;
}

async function nameBefore(
  session: WorkspaceSession,
  tree: TreeReader,
  at: {
    readonly path: RawPath;
    readonly newer: SnapshotId | 'live';
    readonly signal: AbortSignal | undefined;
  },
): Promise<RawPath | null> {
  const { backend } = session.ports;
  const options = { mtimes: false, ...(at.signal === undefined ? {} : { signal: at.signal }) };
  const trees = { from: tree.ref, to: at.newer };
  const workspace = { openTree: (ref: SnapshotId | 'live') => backend.openTree(session.ref, ref) };
  const found = backend.compare(session.ref, trees.from, trees.to, options);
  for await (const change of withRenames(found, { workspace, ...trees })) {
    if (change.path === at.path) return change.oldPath ?? null;
  }
  return null;
}

/** @throws GhostsnapError */
function requireVersion(tree: TreeReader, path: RawPath): Version {
  const entry = tree.lookup(path);
  const shown = displayPath(path);
  if (entry === null) {
    throw new GhostsnapError('PATH_NOT_IN_SNAPSHOT', `There is no file ${shown} now`, {
      hint: 'Name a file that is there; bring one back with "ghostsnap restore".',
    });
  }
  if (entry.type !== 'file') {
    throw new GhostsnapError('BAD_ARGUMENT', `${shown} is no regular file.`, {
      hint: 'Name a file of text.',
    });
  }
  if (entry.sizeBytes > LINE_DIFF_BYTES_MAX) {
    throw new GhostsnapError(
      'LIMIT_EXCEEDED',
      `${shown} is too large to blame line by line: over ${LINE_DIFF_BYTES_MAX} bytes.`,
      { hint: 'See which calls changed it with "ghostsnap diff".' },
    );
  }
  const version = versionAt(tree, path);
  if (version !== null) return version;
  throw new GhostsnapError('BAD_ARGUMENT', `${shown} is binary: it has no lines to blame.`, {
    hint: 'Name a file of text.',
  });
}

/** null: nothing with lines. */
function versionAt(tree: TreeReader, path: RawPath): Version | null {
  const entry = tree.lookup(path);
  if (entry?.type !== 'file' || entry.sizeBytes > LINE_DIFF_BYTES_MAX) return null;
  const content = Buffer.alloc(entry.sizeBytes);
  let filled = 0;
  while (filled < content.length) {
    const part = tree.readFile(path, filled, content.length - filled);
    if (part.length === 0) break;
    content.set(part, filled);
    filled += part.length;
  }
  if (content.subarray(0, BINARY_PROBE_BYTES).includes(0)) return null;
  const lines = content.subarray(0, filled).toString('latin1').split('\n');
  // What ends with a line end has no further line behind it.
  if (lines.at(-1) === '') lines.pop();
  return { path, entry, lines };
}

function textOf(line: string): string {
  return Buffer.from(line, 'latin1').toString('utf8').replace(/\r$/, '');
}

/** A call that may have changed things, by the snapshot it began with. */
function callsBySnapshot(calls: readonly CallRow[]): ReadonlyMap<SnapshotId, CallRow> {
  const found = new Map<SnapshotId, CallRow>();
  for (const call of calls) {
    if (!call.readOnly && call.snapshot !== null) found.set(call.snapshot, call);
  }
  return found;
}

function originOf(
  session: WorkspaceSession,
  row: SnapshotRow,
  call: CallRow | undefined,
): BlameOrigin {
  const prompts = call?.prompt ? session.ports.catalog.listPrompts(session.ref.id, {}) : [];
  return {
    snapshot: row.id,
    at: isoTime(row.createdAtMs),
    label: row.label,
    tool: call?.tool ?? row.tool,
    session: call?.session ?? row.session,
    call: call?.call ?? null,
    prompt: prompts.find(({ prompt }) => prompt === call?.prompt)?.text ?? null,
    overlaps: call?.overlaps ?? [],
  };
}
