/**
 * Unified line diffs of what changed between two trees, as git shows them.
 *
 * Binary files (a NUL near the start), files over the limit and files with too many differing lines
 * are named, not compared. Contents are read through the trees' readers, so nothing is followed out
 * of the workspace.
 */
import { StringDecoder } from 'node:string_decoder';
import type { TreeReader } from '../backend/backend.ts';
import { GhostsnapError } from '../core/errors.ts';
import { BINARY_PROBE_BYTES, LINE_DIFF_BYTES_MAX, LINE_DIFF_EDITS_MAX } from '../core/limits.ts';
import { displayPath, type RawPath } from '../core/raw-path.ts';
import type { TreeChange } from '../core/tree-change.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import { octalMode, shownPath } from './change-json.ts';
import { formatBytes } from './human-units.ts';
import type { Colors, Output } from './output.ts';
import { printableLine } from './printable-text.ts';

/** The `---` and `+++` lines before the first hunk. */
const HEADER_LINES = 2;

/** What is read of a side. */
export type ContentReader = Pick<TreeReader, 'readFile' | 'readLink'>;

export interface LineDiffTrees {
  readonly from: ContentReader;
  readonly to: ContentReader;
}

/** Whether the lines of a side of the change are looked at. */
export function isCompared(kind: TreeChange['kind'], entry: TreeEntry | null): boolean {
  if (kind === 'metadata' || kind === 'renamed' || kind === 'uncovered') return false;
  if (entry?.type === 'symlink') return true;
  return entry?.type === 'file' && entry.sizeBytes <= LINE_DIFF_BYTES_MAX;
}

/** Prints one change: a header, and the hunks where there are lines to compare. */
export async function printLineDiff(
  output: Output,
  change: TreeChange,
  trees: LineDiffTrees,
): Promise<void> {
  const { colors } = output;
  const newPath = shownPath(change.path);
  const oldPath = shownPath(change.oldPath ?? change.path);
  output.line(colors.bold(`diff ${oldPath} ${newPath}`));
  for (const line of propertyLines(change)) output.line(colors.bold(line));
  if (change.kind === 'metadata' || change.kind === 'renamed' || change.kind === 'uncovered')
    return;

  const before = sideOf(trees.from, change.oldPath ?? change.path, change.from);
  const after = sideOf(trees.to, change.path, change.to);
  const note = noteOf(before) ?? noteOf(after);
  if (note !== null) {
    output.line(note);
    return;
  }
  const hunks = await unifiedHunks({ oldPath, newPath, before, after });
  if (hunks === null) output.line('Too many lines differ to show them.');
  else {
    for (const [index, line] of hunks.entries()) {
      const shown = shownLine(line, output);
      // A removed line may itself begin with two dashes, so the header is known by its place.
      output.line(index < HEADER_LINES ? colors.bold(shown) : coloredLine(shown, colors));
    }
  }
}

/** A side's text; null: no such file there; a note says why there is no text to compare. */
type Side = { readonly text: string } | { readonly note: string } | null;

function sideOf(tree: ContentReader, path: RawPath, entry: TreeEntry | null): Side {
  if (entry === null) return null;
  if (entry.type === 'symlink') return { text: displayPath(tree.readLink(path)) };
  if (entry.type !== 'file') return null;
  if (entry.sizeBytes > LINE_DIFF_BYTES_MAX) {
    return { note: `Too large to compare line by line (${formatBytes(entry.sizeBytes)}).` };
  }
  const bytes = readWhole(tree, path, entry.sizeBytes);
  if (bytes === null) return { note: 'The content cannot be read.' };
  if (bytes.subarray(0, BINARY_PROBE_BYTES).includes(0)) return { note: 'Binary files differ.' };
  return { text: new StringDecoder('utf8').end(bytes) };
}

/** null: closed to this user, or gone meanwhile. One such file does not end the whole diff. */
function readWhole(tree: ContentReader, path: RawPath, sizeBytes: number): Buffer | null {
  const parts: Uint8Array[] = [];
  let offset = 0;
  try {
    while (offset < sizeBytes) {
      const part = tree.readFile(path, offset, sizeBytes - offset);
      if (part.length === 0) break;
      // A reader may hand out a buffer that it uses again.
      parts.push(Uint8Array.from(part));
      offset += part.length;
    }
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'CAPTURE_FAILED') return null;
    throw error;
  }
  return Buffer.concat(parts);
}

function noteOf(side: Side): string | null {
  return side !== null && 'note' in side ? side.note : null;
}

async function unifiedHunks(options: {
  readonly oldPath: string;
  readonly newPath: string;
  readonly before: Side;
  readonly after: Side;
}): Promise<readonly string[] | null> {
  const before = textOf(options.before);
  const after = textOf(options.after);
  if (before === after) return [];
  const { structuredPatch } = await import('diff');
  const patch = structuredPatch(options.oldPath, options.newPath, before, after, '', '', {
    context: 3,
    maxEditLength: LINE_DIFF_EDITS_MAX,
  });
  if (patch === undefined) return null;
  return [
    `--- ${options.before === null ? '/dev/null' : options.oldPath}`,
    `+++ ${options.after === null ? '/dev/null' : options.newPath}`,
    ...patch.hunks.flatMap((hunk) => [
      `@@ -${rangeOf(hunk.oldStart, hunk.oldLines)} +${rangeOf(hunk.newStart, hunk.newLines)} @@`,
      ...hunk.lines,
    ]),
  ];
}

/** An empty range is named by the line before it, as patch(1) wants it. */
function rangeOf(start: number, lines: number): string {
  return `${lines === 0 ? start - 1 : start},${lines}`;
}

function textOf(side: Side): string {
  return side !== null && 'text' in side ? side.text : '';
}

// On a terminal a control character in a file would be obeyed; into a pipe the line goes as it is.
function shownLine(line: string, output: Output): string {
  if (!output.isTerminal) return line;
  return line.split('\t').map(printableLine).join('\t');
}

function coloredLine(line: string, colors: Colors): string {
  if (line.startsWith('@@')) return colors.cyan(line);
  if (line.startsWith('+')) return colors.green(line);
  return line.startsWith('-') ? colors.red(line) : line;
}

function propertyLines(change: TreeChange): readonly string[] {
  const { from, to, kind } = change;
  const lines: string[] = [];
  if (change.oldPath !== undefined) {
    lines.push(`rename from ${shownPath(change.oldPath)}`, `rename to ${shownPath(change.path)}`);
  }
  if (kind === 'uncovered') lines.push(`not covered: ${change.reason ?? 'outside snapshots'}`);
  if (from === null && to !== null) lines.push(`new ${to.type} mode ${octalMode(to.mode)}`);
  if (from !== null && to === null) lines.push(`deleted ${from.type} mode ${octalMode(from.mode)}`);
  if (from === null || to === null) return lines;
  if (from.type !== to.type) lines.push(`old type ${from.type}`, `new type ${to.type}`);
  if (from.mode !== to.mode) {
    lines.push(`old mode ${octalMode(from.mode)}`, `new mode ${octalMode(to.mode)}`);
  }
  if (from.uid !== to.uid || from.gid !== to.gid) {
    lines.push(`old owner ${from.uid}:${from.gid}`, `new owner ${to.uid}:${to.gid}`);
  }
  const others = change.fields.filter((field) => field !== 'mode' && field !== 'owner');
  if (others.length > 0) lines.push(`differs in ${others.join(', ')}`);
  return lines;
}
