/**
 * Three-way merging of a file's lines.
 *
 * Bytes in, bytes out: contents are handled as latin1, one character a byte, and a line keeps whatever ends
 * it, so that line endings, a missing last one, and text in any encoding come through unchanged. The merge
 * is a library's diff3; what is here keeps it within bounds of time and memory.
 */
import { diff3Merge } from 'node-diff3';
import { BINARY_PROBE_BYTES, MERGE_LINES_MAX, MERGE_WORK_MAX } from '../core/limits.ts';
import type { ConflictReason } from '../core/undo-call-plan.ts';

export interface MergeSides {
  /** What both sides come from. */
  readonly base: Uint8Array;
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
}

export type MergedLines =
  | { readonly ok: true; readonly content: Uint8Array }
  | { readonly ok: false; readonly reason: ConflictReason };

export function mergeLines(sides: MergeSides): MergedLines {
  const all = [sides.base, sides.ours, sides.theirs];
  if (all.some(isBinary)) return { ok: false, reason: 'binary: both changed it' };
  const [base = [], ours = [], theirs = []] = all.map(linesOf);
  if (base.length + ours.length + theirs.length > MERGE_LINES_MAX) {
    return { ok: false, reason: 'too large to merge' };
  }
  const head = commonCount([base, ours, theirs], (lines, i) => lines[i]);
  const rest = [base, ours, theirs].map((lines) => lines.slice(head));
  const tail = commonCount(rest, (lines, i) => lines[lines.length - 1 - i]);
  const [o = [], a = [], b = []] = rest.map((lines) => lines.slice(0, lines.length - tail));
  if (workOf(o, a) + workOf(o, b) > MERGE_WORK_MAX) {
    return { ok: false, reason: 'too many equal lines to merge' };
  }
  const merged: string[] = [];
  for (const region of diff3Merge(a, o, b)) {
    if (region.ok === undefined) return { ok: false, reason: 'the same lines changed since' };
    merged.push(region.ok.join(''));
  }
  const text = [
    ...[base.slice(0, head).join(''), merged.join('')],
    base.slice(base.length - tail).join(''),
  ].join('');
  return { ok: true, content: Buffer.from(text, 'latin1') };
}

function isBinary(bytes: Uint8Array): boolean {
  return bytes.subarray(0, BINARY_PROBE_BYTES).includes(0);
}

/** Each line with what ends it; the last one may have no end. */
function linesOf(bytes: Uint8Array): string[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** How many lines are equal in all three, counted from where `at` counts from. */
function commonCount(
  files: readonly (readonly string[])[],
  at: (lines: readonly string[], index: number) => string | undefined,
): number {
  const [first = [], ...others] = files;
  const most = Math.min(...files.map((lines) => lines.length));
  let count = 0;
  while (count < most && others.every((lines) => at(lines, count) === at(first, count))) count += 1;
  return count;
}

/** An upper bound on the steps of comparing two files: pairs of equal lines times the shorter length. */
function workOf(left: readonly string[], right: readonly string[]): number {
  const counts = new Map<string, number>();
  for (const line of left) counts.set(line, (counts.get(line) ?? 0) + 1);
  let pairs = 0;
  for (const line of right) pairs += counts.get(line) ?? 0;
  return pairs * Math.min(left.length, right.length);
}
