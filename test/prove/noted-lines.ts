/**
 * What an operation succeeded without, and said so: an owner, an attribute that the kernel refused. Such a
 * note names its path, and the witness's line of that path may be another one then; no other line may.
 */
import { parseDisplayPath } from '../../src/core/raw-path.ts';
import { escapeBytes } from '../model/tree-listing.ts';
import { LINKS } from './model-restore.ts';

/** `lines`, with what was noted as `expected` has it: the two are equal if nothing else is missing. */
export function withoutNoted(
  lines: readonly string[],
  expected: readonly string[],
  noted: readonly string[],
): readonly string[] {
  const paths = new Set(noted.map((path) => escapeBytes(parseDisplayPath(path)) || '.'));
  // An attribute is the file's, whichever of its names was meant.
  const groups = new Set(lines.filter((line) => paths.has(pathOf(line))).map(linksOf));
  groups.delete('-');
  const known = new Map(expected.map((line) => [pathOf(line), line]));
  return lines.map((line) => {
    const isNoted = paths.has(pathOf(line)) || groups.has(linksOf(line));
    return isNoted ? (known.get(pathOf(line)) ?? line) : line;
  });
}

function pathOf(line: string): string {
  return line.slice(0, line.indexOf('\t'));
}

function linksOf(line: string): string {
  return line.split('\t')[LINKS] ?? '-';
}
