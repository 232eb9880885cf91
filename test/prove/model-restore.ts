/**
 * What a restore of single paths must leave: these paths as the snapshot has them, everything beside
 * them as it was.
 *
 * Free are only the mtimes of directories that hold a chosen path (an entry of theirs was replaced), and
 * the link groups across the border of what was chosen; those within it must be the snapshot's.
 */
import { isWithin, type RawPath } from '../../src/core/raw-path.ts';
import { copyPath } from '../model/memory-backend.ts';
import { linkGroups } from '../model/model-compare.ts';
import { cloneTree, type ModelNode, type ModelTree, nodeAt, putNode } from '../model/model-tree.ts';
import { listModel } from '../model/tree-listing.ts';

/** Fields of a listing's line. */
export const MTIME = 6;
export const LINKS = 7;

export interface Restore {
  readonly before: ModelTree;
  readonly target: ModelTree;
  readonly paths: readonly RawPath[];
}

/** The live tree as it must be, up to what is free. */
export function restoredModel({ before, target, paths }: Restore): ModelTree {
  const tree = cloneTree(before);
  const source = cloneTree(target);
  for (const path of paths) copyPath(source, tree, path);
  return tree;
}

/** What is wrong in `actual` (the witness's lines); empty when nothing is. */
export function wrongAfterRestore(restore: Restore, actual: readonly string[]): string[] {
  const { paths } = restore;
  const isChosen = (path: RawPath): boolean => paths.some((chosen) => isWithin(path, chosen));
  const holdsChosen = (path: RawPath): boolean => paths.some((chosen) => isWithin(chosen, path));
  const shared = sharedAcross(restore, isChosen);
  const tell = (lines: readonly string[]): string[] =>
    lines.flatMap((line) => {
      const fields = line.split('\t');
      const path = pathOf(line);
      // One file on both sides of the border, then and now: either answer gives back what was asked.
      if (shared.has(path)) return [];
      if (!isChosen(path) && holdsChosen(path)) fields[MTIME] = '-';
      fields[LINKS] = '-';
      return [fields.join('\t')];
    });
  const expected = tell(listModel(restoredModel(restore)));
  const got = tell(actual);
  return [
    ...missingFrom(got, expected).map((line) => `expected ${line}`),
    ...missingFrom(expected, got).map((line) => `     got ${line}`),
    ...wrongLinks(restore, actual, isChosen),
  ];
}

function missingFrom(there: readonly string[], lines: readonly string[]): string[] {
  const known = new Set(there);
  return lines.filter((line) => !known.has(line));
}

/** Unchosen names of files that a chosen path named before, and names in the snapshot too. */
function sharedAcross(
  { before, target }: Restore,
  isChosen: (path: RawPath) => boolean,
): Set<RawPath> {
  const then = linkGroups(target);
  const shared = new Set<RawPath>();
  const now = linkGroups(before);
  for (const [path, group] of now) {
    if (isChosen(path)) continue;
    const isSame = group
      .split('\0')
      .some((other) => isChosen(other as RawPath) && isGrouped(then, path, other as RawPath));
    if (isSame) shared.add(path);
  }
  return shared;
}

function isGrouped(groups: Map<RawPath, string>, a: RawPath, b: RawPath): boolean {
  const group = groups.get(a);
  return group !== undefined && group === groups.get(b);
}

function wrongLinks(
  { target }: Restore,
  actual: readonly string[],
  isChosen: (path: RawPath) => boolean,
): string[] {
  const then = linkGroups(target);
  const chosen = actual.filter((line) => isChosen(pathOf(line)) && typeOf(line) !== 'dir');
  const wrong: string[] = [];
  for (const [index, line] of chosen.entries()) {
    for (const other of chosen.slice(index + 1)) {
      const links = line.split('\t')[LINKS];
      const areLinked = links !== '-' && links === other.split('\t')[LINKS];
      if (areLinked === isGrouped(then, pathOf(line), pathOf(other))) continue;
      wrong.push(`${pathOf(line)} and ${pathOf(other)} are ${areLinked ? '' : 'not '}one file`);
    }
  }
  return wrong;
}

/** The model as the witness saw it: what was free is settled now. */
export function adoptFreeParts(
  tree: ModelTree,
  actual: readonly string[],
  paths: readonly RawPath[],
): void {
  const isChosen = (path: RawPath): boolean => paths.some((chosen) => isWithin(path, chosen));
  const names = actual.filter((line) => typeOf(line) !== 'dir').map(pathOf);
  // A file on both sides of the border is what the snapshot says it is: the chosen names come first.
  const ordered = [...names.filter(isChosen), ...names.filter((path) => !isChosen(path))];
  const linksOf = new Map(actual.map((line) => [pathOf(line), line.split('\t')[LINKS] ?? '-']));
  const byGroup = new Map<string, ModelNode>();
  const taken = new Set<ModelNode>();
  for (const path of ordered) {
    const own = nodeAt(tree, path);
    const links = linksOf.get(path) ?? '-';
    const separate = taken.has(own) ? { ...own, xattrs: new Map(own.xattrs) } : own;
    const node = (links === '-' ? undefined : byGroup.get(links)) ?? separate;
    if (links !== '-') byGroup.set(links, node);
    taken.add(node);
    if (node !== own) putNode(tree, path, node);
  }
  for (const line of actual) {
    const fields = line.split('\t');
    const node = nodeAt(tree, pathOf(line));
    node.mode = Number.parseInt(fields[2] ?? '', 8);
    node.mtimeNs = BigInt(fields[MTIME] ?? '0');
  }
}

function pathOf(line: string): RawPath {
  const field = line.slice(0, line.indexOf('\t'));
  if (field === '.') return '' as RawPath;
  return field.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  ) as RawPath;
}

function typeOf(line: string): string {
  return line.split('\t')[1] ?? '';
}
