/**
 * A part of a file of a workspace, as it is or was. What is read is inside: a path leads through directories
 * alone, and what is no regular file when it is opened is refused.
 */
import type { InputOf, OutputOf } from '../api/schema/operations.ts';
import { GhostsnapError } from '../core/errors.ts';
import { displayPath, type RawPath } from '../core/raw-path.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import { parseWorkspacePaths } from '../engine/workspace-paths.ts';

/**
 * @throws GhostsnapError SNAPSHOT_NOT_FOUND, PATH_OUTSIDE, PATH_NOT_IN_SNAPSHOT, BAD_ARGUMENT for what has no
 *   content, CAPTURE_FAILED for what cannot be read
 */
export async function readContent(
  workspace: Workspace,
  input: InputOf<'readContent'>,
): Promise<OutputOf<'readContent'>> {
  const { offset, length } = input;
  const [path = '' as RawPath] = parseWorkspacePaths(workspace.info.path, [input.path]);
  const tree = input.tree === 'live' ? 'live' : workspace.resolve(input.tree);
  using reader = await workspace.openTree(tree);
  const entry = reader.lookup(path);
  if (entry?.type === 'file') {
    const bytes = Buffer.from(reader.readFile(path, offset, length));
    const { type, sizeBytes } = entry;
    return { tree, type, sizeBytes, offset, bytes: bytes.toString('base64') };
  }
  if (entry?.type === 'symlink') {
    const target = Buffer.from(reader.readLink(path), 'latin1');
    const bytes = target.subarray(offset, offset + length).toString('base64');
    return { tree, type: entry.type, sizeBytes: target.length, offset, bytes };
  }
  throw entry === null ? notThere(path, tree) : contentless(path, entry.type);
}

function notThere(path: RawPath, tree: string): GhostsnapError {
  const shown = displayPath(path);
  return new GhostsnapError('PATH_NOT_IN_SNAPSHOT', `There is no ${shown} in ${tree}`, {
    hint: 'GET .../diff names what there is.',
    data: { path: shown, tree },
  });
}

function contentless(path: RawPath, type: string): GhostsnapError {
  const shown = path === '' ? '.' : displayPath(path);
  return new GhostsnapError(
    'BAD_ARGUMENT',
    `It has no content, it is of the type ${type}: ${shown}`,
    {
      hint: 'Name a regular file or a symlink.',
      data: { path: shown, type },
    },
  );
}
