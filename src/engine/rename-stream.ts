/**
 * Rename detection over a stream of changes, in bounded memory.
 *
 * A rename can only be found once every deleted and added path was seen, so changes are held back
 * up to a bound; past it they pass through as they come and the caller is told. Contents are read
 * only where inode numbers are missing, and up to a bound as well.
 */
import type { TreeReader, TreeRef } from '../backend/backend.ts';
import { RENAME_CONTENT_BYTES_MAX, RENAME_DETECTION_CHANGES_MAX } from '../core/limits.ts';
import type { RawPath } from '../core/raw-path.ts';
import { detectRenames, needsContentEvidence, type SameContent } from '../core/rename-detection.ts';
import type { TreeChange } from '../core/tree-change.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { Workspace } from './workspace-api.ts';

const READ_BYTES = 65_536;

export interface RenameOptions {
  /** The trees that the changes lead from and to, for comparing contents. */
  readonly workspace: Pick<Workspace, 'openTree'>;
  readonly from: TreeRef;
  readonly to: TreeRef;
  readonly changesMax?: number;
  readonly onSkipped?: () => void;
}

export async function* withRenames(
  changes: AsyncIterable<TreeChange>,
  options: RenameOptions,
): AsyncGenerator<TreeChange> {
  const { changesMax = RENAME_DETECTION_CHANGES_MAX, onSkipped } = options;
  let held: TreeChange[] | null = [];
  for await (const change of changes) {
    if (held === null) yield change;
    else if (held.length < changesMax) held.push(change);
    else {
      onSkipped?.();
      yield* held;
      yield change;
      held = null;
    }
  }
  if (held !== null) yield* await detect(held, options);
}

async function detect(
  changes: readonly TreeChange[],
  options: RenameOptions,
): Promise<readonly TreeChange[]> {
  if (!needsContentEvidence(changes)) return detectRenames(changes);
  using from = await options.workspace.openTree(options.from);
  using to = await options.workspace.openTree(options.to);
  return detectRenames(changes, contentComparer({ from, to }));
}

interface Side {
  readonly tree: TreeReader;
  readonly path: RawPath;
}

function contentComparer(trees: {
  readonly from: TreeReader;
  readonly to: TreeReader;
}): SameContent {
  let bytesLeft = RENAME_CONTENT_BYTES_MAX;
  return (deleted, added) => {
    const { from: entry } = deleted;
    if (entry === null || entry.sizeBytes > bytesLeft) return false;
    bytesLeft -= entry.sizeBytes;
    const before = { tree: trees.from, path: deleted.path };
    const after = { tree: trees.to, path: added.path };
    return isSame(entry, before, after);
  };
}

function isSame(entry: TreeEntry, before: Side, after: Side): boolean {
  if (entry.type === 'symlink') {
    return before.tree.readLink(before.path) === after.tree.readLink(after.path);
  }
  let offset = 0;
  while (offset < entry.sizeBytes) {
    const length = Math.min(READ_BYTES, entry.sizeBytes - offset);
    const expected = readExactly(before, offset, length);
    const found = readExactly(after, offset, length);
    if (expected === null || found === null || !expected.equals(found)) return false;
    offset += length;
  }
  return true;
}

/**
 * null: the file is shorter than it was. A reader may give less than asked and reuse its buffer.
 */
function readExactly(side: Side, offset: number, length: number): Buffer | null {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const part = side.tree.readFile(side.path, offset + filled, length - filled);
    if (part.length === 0) return null;
    buffer.set(part, filled);
    filled += part.length;
  }
  return buffer;
}
