/** A model tree as two hashes: of its listing, as the witness hashes a real tree, and of how it looks. */
import { hash } from 'node:crypto';
import type { ModelTree } from '../model/model-tree.ts';
import { listModel } from '../model/tree-listing.ts';

/** Field of a listing's line. */
const MTIME = 6;

export interface TreeHashes {
  readonly sha256: string;
  /** Without mtimes: what undo calls different. */
  readonly looks: string;
}

export function hashesOf(tree: ModelTree): TreeHashes {
  const lines = listModel(tree);
  const looks = lines.map((line) => line.split('\t').toSpliced(MTIME, 1).join('\t'));
  return { sha256: sha256Of(lines), looks: sha256Of(looks) };
}

export function sha256Of(lines: readonly string[]): string {
  return hash('sha256', lines.map((line) => `${line}\n`).join(''));
}
