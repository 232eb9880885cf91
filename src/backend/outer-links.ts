/**
 * Names of files beside the paths that are turned, where only single paths are.
 *
 * A file may have names among the paths and others beside them. Nothing is ever done to those, but two
 * things about them must be known. What a path was another name of, so that it becomes one again: only
 * where the name beside still holds what the source has there, whatever its time. And which live files
 * have a name beside, so that none is changed through one that is turned. Inode numbers of the source are
 * never taken for live ones: a filesystem gives a number to another file as soon as it is free.
 */
import type { RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader } from './backend.ts';
import { differenceBeside } from './entry-difference.ts';
import { findNames, SeenLinks, seeBelow } from './linked-paths.ts';
import type { PathSet } from './path-set.ts';
import type { TreeEvidence } from './tree-evidence.ts';

/** An outer file is one of few: it is compared to the last byte. */
const NO_EVIDENCE: TreeEvidence = { sameContent: () => 'unknown' };

/** A live name of the file that a group of the source is. */
export interface Anchor {
  readonly path: RawPath;
  readonly liveIno: number;
}

export interface OuterLinks {
  /** null: no name beside the paths is the file that `want` is in the source. */
  anchorOf(want: TreeEntry): Anchor | null;
  /** True when the live inode has a name beside the paths. */
  holds(liveIno: number): boolean;
}

export const NO_OUTER_LINKS: OuterLinks = { anchorOf: () => null, holds: () => false };

export interface OuterLinksRequest {
  readonly live: TreeReader;
  /** Where the paths' content and their links come from. */
  readonly source: TreeReader;
  readonly paths: PathSet;
  /** Whether what lies below the paths is turned as well. */
  readonly below: 'turned' | 'untouched';
  readonly signal: AbortSignal | undefined;
}

/** Reads directories of both trees only where a file of the paths has a name that is not among them. */
export async function findOuterLinks(request: OuterLinksRequest): Promise<OuterLinks> {
  const { live, source } = request;
  const anchors = new Map<number, Anchor>();
  const held = new Set<number>();
  for (const path of outerNames(live, request)) {
    const entry = live.lookup(path);
    if (entry !== null) held.add(entry.ino);
  }
  for (const path of outerNames(source, request)) {
    const to = source.lookup(path);
    const from = live.lookup(path);
    if (to === null || from === null || anchors.has(to.ino)) continue;
    const isAnchor = await isSameFile(request, { path, from, to });
    if (isAnchor) anchors.set(to.ino, { path, liveIno: from.ino });
  }
  return {
    anchorOf: ({ ino, nlink }) => (nlink > 1 ? (anchors.get(ino) ?? null) : null),
    holds: (liveIno) => held.has(liveIno),
  };
}

async function isSameFile(
  { live, source, signal }: OuterLinksRequest,
  pair: { readonly path: RawPath; readonly from: TreeEntry; readonly to: TreeEntry },
): Promise<boolean> {
  if (pair.from.type !== pair.to.type) return false;
  const trees = { from: live, to: source, evidence: NO_EVIDENCE, mtimes: 'ignored' } as const;
  return (await differenceBeside(trees, pair, signal)) === null;
}

/** Names beside the paths of files that have one among them. */
function* outerNames(tree: TreeReader, { paths, below }: OuterLinksRequest): Generator<RawPath> {
  const links = new SeenLinks();
  for (const path of paths) {
    const entry = tree.lookup(path);
    links.see(entry);
    if (below === 'turned' && entry?.type === 'dir') seeBelow(tree, { path }, links);
  }
  if (links.isComplete) return;
  const isTurned = (path: RawPath): boolean =>
    below === 'turned' ? paths.covers(path) : paths.hasExact(path);
  for (const path of findNames(tree, links)) if (!isTurned(path)) yield path;
}
