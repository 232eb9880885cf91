/**
 * From what a person types to a snapshot id: a full id, `@` and `@~N`, a unique prefix, a label.
 *
 * A full id always wins, then `@`, then a label that matches exactly, then a prefix; a prefix that
 * matches several is refused with the candidates, never guessed.
 */
import { GhostsnapError } from '../core/errors.ts';
import { isSnapshotId, type SnapshotId, type WorkspaceId } from '../core/ids.ts';
import type { Catalog } from './ports.ts';

const CANDIDATES_MAX = 5;
/** Snapshots that are read at once while counting back. */
const PAGE = 64;
const NEWEST = /^@(?:~(\d{1,6}))?$/;
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
  const prefix = PREFIX.exec(spec)?.[1];
  if (prefix === undefined) {
    throw new GhostsnapError(
      'BAD_ID',
      `${JSON.stringify(spec)} is neither a snapshot id, a prefix of one, nor a label here.`,
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
