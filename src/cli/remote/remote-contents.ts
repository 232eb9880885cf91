/**
 * Contents of a service's files for line diffs: both sides of one change are fetched, in bounded pieces, and
 * read from memory. What is not compared is not asked for, and one file that cannot be read says so itself.
 */
import { GhostsnapError } from '../../core/errors.ts';
import type { RawPath } from '../../core/raw-path.ts';
import type { TreeChange } from '../../core/tree-change.ts';
import type { TreeEntry } from '../../core/tree-entry.ts';
import { type ContentReader, isCompared, type LineDiffTrees } from '../line-diff.ts';
import type { RemoteWorkspace } from './remote-workspace.ts';

interface Side {
  readonly tree: string;
  readonly path: RawPath;
  readonly entry: TreeEntry | null;
}

/** @throws GhostsnapError NOT_PERMITTED, ROUTE_NOT_FOUND (an older service), UNREACHABLE, ... */
export async function fetchSides(
  workspace: RemoteWorkspace,
  change: TreeChange,
  trees: { readonly from: string; readonly to: string },
): Promise<LineDiffTrees> {
  const { kind, path, oldPath = path } = change;
  const from = { tree: trees.from, path: oldPath, entry: change.from };
  const to = { tree: trees.to, path, entry: change.to };
  return {
    from: await fetchSide(workspace, kind, from),
    to: await fetchSide(workspace, kind, to),
  };
}

async function fetchSide(
  workspace: RemoteWorkspace,
  kind: TreeChange['kind'],
  { tree, path, entry }: Side,
): Promise<ContentReader> {
  if (!isCompared(kind, entry)) return readerOf(Buffer.alloc(0));
  try {
    return readerOf(await workspace.content(tree, path));
  } catch (error) {
    if (error instanceof GhostsnapError && OF_THIS_FILE.has(error.code)) return failing(error);
    throw error;
  }
}

/** It went away, became something else, or is closed: the diff goes on with the next one. */
const OF_THIS_FILE: ReadonlySet<string> = new Set([
  'CAPTURE_FAILED',
  'PATH_NOT_IN_SNAPSHOT',
  'BAD_ARGUMENT',
]);

function readerOf(bytes: Buffer): ContentReader {
  return {
    readFile: (_, offset, length) => bytes.subarray(offset, offset + length),
    readLink: () => bytes.toString('latin1'),
  };
}

function failing(cause: GhostsnapError): ContentReader {
  const fail = (): never => {
    throw new GhostsnapError('CAPTURE_FAILED', cause.message, { cause });
  };
  return { readFile: fail, readLink: fail };
}
