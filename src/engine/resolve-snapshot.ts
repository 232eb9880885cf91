/**
 * From what a person types to a snapshot id: a full id, `@` and `@~N`, a label, a unique prefix, a tool call.
 *
 * A full id always wins, then `@`, then a label that matches exactly, then a prefix; a prefix that
 * matches several is refused with the candidates, never guessed. A call, which is all that the log of
 * an agent's work names, means the state before it.
 */
import { GhostsnapError } from '../core/errors.ts';
import { isCallId, isSnapshotId, type SnapshotId, type WorkspaceId } from '../core/ids.ts';
import type { Catalog } from './ports.ts';

const CANDIDATES_MAX = 5;
/** Snapshots that are read at once while counting back. */
const PAGE = 64;
/** Calls looked through for the beginning of one's id. */
const CALLS_SEARCHED = 10_000;
const NEWEST = /^@(?:~(\d{1,6}))?$/;
const CALL = /^call_[0-7][0-9A-HJKMNP-TV-Z]{3,25}$/i;
const PREFIX = /^(?:ghost_)?([0-7][0-9A-HJKMNP-TV-Z]{3,25})$/i;

/** @throws GhostsnapError SNAPSHOT_NOT_FOUND, AMBIGUOUS_ID, BAD_ID */
export function resolveSnapshot(
  catalog: Catalog,
  workspace: WorkspaceId,
  spec: string,
): SnapshotId {
  if (isSnapshotId(spec)) {
    if (catalog.snapshot(workspace, spec) !== null) return spec;
    throw notFound(spec);
  }
  const newest = NEWEST.exec(spec);
  if (newest !== null) return nthNewest(catalog, workspace, spec, Number(newest[1] ?? 0));
  const labelled = spec === '' ? null : catalog.findByLabel(workspace, spec);
  if (labelled !== null) return labelled;
  if (CALL.test(spec)) return beforeCall(catalog, workspace, spec);
  const prefix = PREFIX.exec(spec)?.[1];
  if (prefix === undefined) {
    throw new GhostsnapError(
      'BAD_ID',
      `${JSON.stringify(spec)} is neither a snapshot id, a prefix of one, a call, nor a label here.`,
      { hint: 'List the snapshots with "ghostsnap log"; "@" names the newest.' },
    );
  }
  return byPrefix(catalog, workspace, spec, prefix);
}

function byPrefix(
  catalog: Catalog,
  workspace: WorkspaceId,
  spec: string,
  prefix: string,
): SnapshotId {
  const full = `ghost_${prefix.toUpperCase()}`;
  const [first, ...others] = catalog.findByPrefix(workspace, full, CANDIDATES_MAX);
  if (first === undefined) throw notFound(spec);
  if (others.length === 0) return first;
  throw new GhostsnapError('AMBIGUOUS_ID', `${spec} is the beginning of several snapshot ids.`, {
    hint: `Give more of it: ${[first, ...others].join(', ')}.`,
    data: { candidates: [first, ...others] },
  });
}

function beforeCall(catalog: Catalog, workspace: WorkspaceId, spec: string): SnapshotId {
  const full = `call_${spec.slice('call_'.length).toUpperCase()}`;
  const found = isCallId(full)
    ? [catalog.call(workspace, full)]
    : catalog
        .listCalls(workspace, { limit: CALLS_SEARCHED })
        .filter(({ call }) => call.startsWith(full));
  const [row, ...others] = found.filter((one) => one !== null);
  if (row === undefined) throw unknownCall(spec);
  if (others.length > 0) {
    const candidates = [row, ...others].slice(0, CANDIDATES_MAX).map(({ call }) => call);
    throw new GhostsnapError('AMBIGUOUS_ID', `${spec} is the beginning of several calls.`, {
      hint: `Give more of it: ${candidates.join(', ')}.`,
      data: { candidates },
    });
  }
  const { snapshot } = row;
  if (snapshot !== null && catalog.snapshot(workspace, snapshot) !== null) return snapshot;
  const why = snapshot === null ? 'was taken' : 'is kept any more';
  throw new GhostsnapError(
    'SNAPSHOT_NOT_FOUND',
    `No snapshot before the call ${row.call} ${why}.`,
    {
      hint: 'List the snapshots with "ghostsnap log --flat".',
      data: { call: row.call },
    },
  );
}

function unknownCall(spec: string): GhostsnapError {
  return new GhostsnapError('CALL_NOT_FOUND', `There is no call ${spec} in this workspace.`, {
    hint: 'List the calls with "ghostsnap log".',
    data: { call: spec },
  });
}

function nthNewest(
  catalog: Catalog,
  workspace: WorkspaceId,
  spec: string,
  back: number,
): SnapshotId {
  let left = back;
  for (let before: SnapshotId | undefined; ; ) {
    const from = before === undefined ? {} : { before };
    const page = catalog.listSnapshots(workspace, { limit: PAGE, ...from });
    for (const { id, role } of page) {
      if (role === 'precautionary') continue;
      if (left === 0) return id;
      left -= 1;
    }
    before = page.at(-1)?.id;
    if (before === undefined || page.length < PAGE) throw notFound(spec);
  }
}

function notFound(spec: string): GhostsnapError {
  return new GhostsnapError(
    'SNAPSHOT_NOT_FOUND',
    `There is no snapshot ${spec} in this workspace.`,
    {
      hint: 'List the snapshots with "ghostsnap log".',
      data: { snapshot: spec },
    },
  );
}
