/**
 * What snapshots of a tree do not hold: other filesystems and subvolumes mounted or nested inside it,
 * sockets, and directories that cannot be read.
 *
 * One walk, directory by directory, that enters no boundary. It is never on the path before a tool
 * call. What cannot be read is in the list, not an error: the list exists to say so.
 */
import { GhostsnapError } from '../core/errors.ts';
import { joinRaw, type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import { isBoundary, type TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader, UncoveredPath, WorkOptions } from './backend.ts';

/** Directories between two turns of the event loop. */
const DIRECTORIES_PER_TURN = 256;

/** In walk order within each directory. @throws GhostsnapError INTERRUPTED, IO */
export async function listUncovered(
  reader: TreeReader,
  options: WorkOptions = {},
): Promise<readonly UncoveredPath[]> {
  const found: UncoveredPath[] = [];
  const pending: RawPath[] = [ROOT_PATH];
  let seen = 0;
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    lookInto(reader, at, found, pending);
    seen += 1;
    if (seen % DIRECTORIES_PER_TURN !== 0) continue;
    options.onProgress?.(seen, null);
    await new Promise(setImmediate);
    if (options.signal?.aborted === true) {
      throw new GhostsnapError('INTERRUPTED', 'Looking for uncovered paths was interrupted.');
    }
  }
  return found;
}

function lookInto(
  reader: TreeReader,
  directory: RawPath,
  found: UncoveredPath[],
  pending: RawPath[],
): void {
  const entries = tryRead(reader, directory);
  if (entries === null) {
    found.push({ path: directory, reason: 'unreadable' });
    return;
  }
  for (const entry of entries) {
    const path = joinRaw(directory, entry.name);
    if (entry.type === 'dir') pending.push(path);
    else if (entry.type === 'subvolume' || entry.type === 'mount') {
      found.push({ path, reason: entry.type });
    } else if (entry.type === 'socket') found.push({ path, reason: 'socket' });
  }
}

/** null: it may not be read. Gone meanwhile: as if empty. */
function tryRead(reader: TreeReader, directory: RawPath): readonly TreeEntry[] | null {
  try {
    return reader.readDirectory(directory);
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    const entry = reader.lookup(directory);
    if (entry === null || isBoundary(entry.type)) return [];
    if (error.code === 'CAPTURE_FAILED' || error.code === 'NOT_PERMITTED') return null;
    throw error;
  }
}
