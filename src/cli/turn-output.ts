/**
 * What rollback, restore, undo and redo have in common on the command line: showing a plan, and
 * telling what was done, what could not be given back exactly, and how to take it back.
 */
import { createChangeCounter } from '../core/change-stats.ts';
import type { TurnResult } from '../engine/results.ts';
import type { RollbackPlan } from '../engine/workspace-api.ts';
import { changeJson } from './change-json.ts';
import { planLine, summaryLine } from './change-lines.ts';
import { formatDuration, roundedMs } from './human-units.ts';
import type { Output } from './output.ts';
import { printableLine } from './printable-text.ts';

export type OutputFormat = 'text' | 'json';

const NOTES_SHOWN_MAX = 20;

const TITLES: Readonly<Record<TurnResult['kind'], string>> = {
  rollback: 'Rolled back to',
  restore: 'Restored from',
  undo: 'Undone: the workspace is at',
  redo: 'Redone: the workspace is at',
  'undo-call': 'Taken back, alone, what was done after',
};

/** Prints what a turn would do, path by path, and does nothing. */
export async function printPlan(
  output: Output,
  plan: RollbackPlan,
  format: OutputFormat,
): Promise<void> {
  const counter = createChangeCounter();
  const { target, mode, modeReason } = plan;
  let count = 0;
  if (format === 'json') {
    const head = { target, mode, modeReason, dryRun: true };
    output.raw(`${JSON.stringify(head).slice(0, -1)},"changes":[`);
  }
  for await (const change of plan.changes) {
    counter.count(change);
    if (format === 'text') output.line(planLine(change, output.colors));
    else output.raw(`${count > 0 ? ',' : ''}${JSON.stringify(changeJson(change))}`);
    count += 1;
  }
  if (format === 'json') output.raw(`],"stats":${JSON.stringify(counter.stats())}}\n`);
  else {
    output.note(`Would go to ${target}, ${modeWords(mode)}: ${modeReason}.`);
    output.note(summaryLine(counter.stats()));
  }
}

/** Prints what a turn did. */
export function printTurn(output: Output, result: TurnResult, format: OutputFormat): void {
  if (format === 'json') {
    output.json(turnJson(result));
    return;
  }
  const { kind, target, mode, modeReason, changes, durationMs } = result;
  const count = changes === null ? 'whole tree' : `${changes} ${changes === 1 ? 'path' : 'paths'}`;
  output.line(`${TITLES[kind]} ${target}`);
  output.line(`  ${count}, ${modeWords(mode)}, ${formatDuration(durationMs)}`);
  output.note(`  ${modeReason}`);
  output.note(`  The state before is kept as ${result.precautionary}`);
  if (changes !== 0) {
    output.note(`  Take this back with "ghostsnap ${kind === 'undo' ? 'redo' : 'undo'}".`);
  }
  warnNotes(output, result.notes);
}

/** What could not be given back exactly, never silently. */
export function warnNotes(output: Output, notes: TurnResult['notes']): void {
  if (notes.length === 0) return;
  output.warn(`${notes.length} could not be given back exactly:`);
  for (const { path, what } of notes.slice(0, NOTES_SHOWN_MAX)) {
    output.note(`  ${printableLine(path)}  (${printableLine(what)})`);
  }
  if (notes.length > NOTES_SHOWN_MAX) output.note(`  and ${notes.length - NOTES_SHOWN_MAX} more`);
}

function turnJson(result: TurnResult): Record<string, unknown> {
  const { operation, kind, target, precautionary, mode, modeReason } = result;
  const { changes, durationMs, notes } = result;
  return {
    operation,
    kind,
    target,
    precautionary,
    mode,
    modeReason,
    changes,
    durationMs: roundedMs(durationMs),
    notes,
  };
}

function modeWords(mode: TurnResult['mode']): string {
  return mode === 'swap' ? 'by swap' : 'in place';
}
