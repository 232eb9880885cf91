/**
 * A tree of the simulated disk: a few files, each with a number or absent.
 *
 * A tree is a text of one character a file, so that it is small, is compared at once and can't change:
 * a snapshot holds the very text that the live tree was.
 */
import type { RawPath } from '../../src/core/raw-path.ts';
import { isWithin } from '../../src/core/raw-path.ts';

export type SimTree = string & { readonly __simTree: true };

export const FILES = 12;
/** Contents a file may have; 0 means that it is absent. */
export const CONTENTS = 1000;

export const EMPTY_TREE = '\0'.repeat(FILES) as SimTree;

const PATHS: readonly string[] = Array.from({ length: FILES }, (_, file) => `f${file}`);

/** The path of a file, 0 to FILES - 1. */
export function pathOf(file: number): RawPath {
  return PATHS[file] as RawPath;
}

/** @param content 0: the file goes */
export function withContent(tree: SimTree, file: number, content: number): SimTree {
  return (tree.slice(0, file) + String.fromCharCode(content) + tree.slice(file + 1)) as SimTree;
}

export function contentOf(tree: SimTree, file: number): number {
  return tree.charCodeAt(file);
}

/** Files that differ, within `paths` where they are given. */
export function changedFiles(a: SimTree, b: SimTree, paths?: readonly RawPath[]): number[] {
  const changed: number[] = [];
  if (a === b) return changed;
  for (let file = 0; file < FILES; file += 1) {
    if (a.charCodeAt(file) !== b.charCodeAt(file) && isAsked(file, paths)) changed.push(file);
  }
  return changed;
}

function isAsked(file: number, paths: readonly RawPath[] | undefined): boolean {
  return paths === undefined || paths.some((top) => isWithin(pathOf(file), top));
}
