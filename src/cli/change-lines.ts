/**
 * Changes as lines for people: name-status lines, lines with sizes, lines of a plan, and the
 * summary.
 *
 * Pure: colours come in as functions, paths are shown in their display form, so no file name can
 * break a line or reach the terminal as a control sequence.
 */
import { CHANGE_KINDS, changedPaths } from '../core/change-stats.ts';
import type { ChangeKind, ChangeStats, TreeChange } from '../core/tree-change.ts';
import { octalMode, shownPath } from './change-json.ts';
import { formatBytes } from './human-units.ts';
import type { Colors } from './output.ts';

/** One letter a kind: git's where git has one, P for properties, ! for what is not covered. */
const LETTERS: Readonly<Record<ChangeKind, string>> = {
  added: 'A',
  deleted: 'D',
  modified: 'M',
  renamed: 'R',
  type: 'T',
  metadata: 'P',
  uncovered: '!',
};

const SUMMARY_WORDS: Readonly<Record<ChangeKind, string>> = {
  added: 'added',
  deleted: 'deleted',
  modified: 'modified',
  renamed: 'renamed',
  type: 'of another type',
  metadata: 'with other properties',
  uncovered: 'not covered',
};

/** `M<tab>path`, `R<tab>old<tab>new`. */
export function nameStatusLine(change: TreeChange, colors: Colors): string {
  const letter = colored(change.kind, LETTERS[change.kind], colors);
  const path = shownPath(change.path);
  return change.oldPath === undefined
    ? `${letter}\t${path}`
    : `${letter}\t${shownPath(change.oldPath)}\t${path}`;
}

/** `M path  1.0 KiB -> 2.0 KiB`. */
export function statLine(change: TreeChange, colors: Colors): string {
  const letter = colored(change.kind, LETTERS[change.kind], colors);
  const old = change.oldPath === undefined ? '' : `${shownPath(change.oldPath)} => `;
  const detail = statDetail(change);
  const path = `${letter} ${old}${shownPath(change.path)}`;
  return detail === '' ? path : `${path}  ${colors.dim(detail)}`;
}

/** What a rollback does to the path: the change leads from the live tree to the target. */
export function planLine(change: TreeChange, colors: Colors): string {
  const path = shownPath(change.path);
  switch (change.kind) {
    case 'added':
      return `${colors.green('create')}    ${path}`;
    case 'deleted':
      return `${colors.red('remove')}    ${path}`;
    case 'modified':
      return `${colors.yellow('rewrite')}   ${path}`;
    case 'type':
      return `${colors.yellow('replace')}   ${path}  ${colors.dim(statDetail(change))}`;
    case 'metadata':
      return `${colors.cyan('set')}       ${path}  ${colors.dim(change.fields.join(', '))}`;
    case 'renamed':
      return `${colors.cyan('rename')}    ${shownPath(change.oldPath ?? change.path)} => ${path}`;
    case 'uncovered':
      return `${colors.dim('leave')}     ${path}  ${colors.dim(change.reason ?? 'not covered')}`;
  }
}

/** `5 paths: 3 added, 2 deleted`, or `Nothing differs.` */
export function summaryLine(stats: ChangeStats): string {
  const parts = CHANGE_KINDS.filter((kind) => stats[kind] > 0).map(
    (kind) => `${stats[kind]} ${SUMMARY_WORDS[kind]}`,
  );
  if (parts.length === 0) return 'Nothing differs.';
  const count = changedPaths(stats);
  return `${count} ${count === 1 ? 'path' : 'paths'}: ${parts.join(', ')}`;
}

function statDetail(change: TreeChange): string {
  const { from, to, fields, kind } = change;
  if (kind === 'uncovered') return change.reason ?? 'not covered';
  if (kind === 'type' && from !== null && to !== null) return `${from.type} -> ${to.type}`;
  const parts: string[] = [];
  const isSized = from?.type === 'file' || to?.type === 'file';
  if (isSized && kind !== 'metadata' && kind !== 'renamed') {
    const sizes = [from, to].flatMap((entry) => (entry === null ? [] : [entry.sizeBytes]));
    parts.push([...new Set(sizes)].map(formatBytes).join(' -> '));
  }
  if (from !== null && to !== null && from.mode !== to.mode) {
    parts.push(`mode ${octalMode(from.mode)} -> ${octalMode(to.mode)}`);
  }
  const others = fields.filter((field) => field !== 'mode');
  if (others.length > 0) parts.push(others.join(', '));
  return parts.join(', ');
}

function colored(kind: ChangeKind, text: string, colors: Colors): string {
  if (kind === 'added') return colors.green(text);
  if (kind === 'deleted') return colors.red(text);
  if (kind === 'uncovered') return colors.dim(text);
  return kind === 'modified' || kind === 'type' ? colors.yellow(text) : colors.cyan(text);
}
