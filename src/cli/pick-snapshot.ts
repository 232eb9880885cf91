/**
 * Choosing where to go back to, on a terminal: a list that is searched by typing, then what it would change,
 * and only then yes or no.
 *
 * The prompts library owns the terminal's raw mode and gives it back, also after Ctrl-C. Where nobody can
 * answer it is an error that lists the newest snapshots, never a guess.
 */
import { createChangeCounter } from '../core/change-stats.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import type { SnapshotInfo } from '../engine/results.ts';
import { planLine, summaryLine } from './change-lines.ts';
import type { CliContext, CommandTarget } from './cli-context.ts';
import { formatAge } from './human-units.ts';
import { printableLine } from './printable-text.ts';

/** Snapshots that the list holds. */
const LISTED_MAX = 500;
/** Rows of the list that are seen at once. */
const ROWS_MAX = 12;
/** Snapshots that the error names where nobody can choose. */
const NAMED_MAX = 10;
/** Lines of a preview. */
const PREVIEW_LINES_MAX = 40;

type Answer = 'go' | 'diff' | 'other' | 'no';

/**
 * @param first the state that stands first and is chosen by Enter alone; default: the newest
 * @throws GhostsnapError BAD_ARGUMENT without a terminal; CONFIRMATION_NEEDED when nothing was chosen
 */
export async function pickSnapshot(
  context: CliContext,
  workspace: CommandTarget,
  first?: SnapshotId,
): Promise<string> {
  const listed = await workspace.list({ limit: LISTED_MAX });
  if (context.environment.isTty !== true) throw needsName(listed);
  const snapshots =
    first === undefined
      ? listed
      : [await workspace.show(first), ...listed.filter(({ id }) => id !== first)];
  for (;;) {
    const chosen = await askWhich(snapshots);
    const answer = await askWhether(context, workspace, chosen);
    if (answer === 'go') return chosen;
    if (answer === 'no') throw notChosen();
  }
}

async function askWhich(snapshots: readonly SnapshotInfo[]): Promise<string> {
  const { autocomplete } = await import('@clack/prompts');
  const nowMs = Date.now();
  const chosen: unknown = await autocomplete({
    message: 'Go back to which state? Type to search.',
    options: snapshots.map((one) => ({ value: one.id as string, label: lineOf(one, nowMs) })),
    maxItems: ROWS_MAX,
    output: process.stderr,
  });
  if (typeof chosen === 'string') return chosen;
  throw notChosen();
}

/** Shows what going there would change, as often as it is asked for. */
async function askWhether(
  context: CliContext,
  workspace: CommandTarget,
  spec: string,
): Promise<Exclude<Answer, 'diff'>> {
  const { isCancel, selectKey } = await import('@clack/prompts');
  await preview(context, workspace, { spec, lines: 0 });
  for (;;) {
    const answer: unknown = await selectKey<Answer>({
      message: 'Go back to it?',
      options: [
        { value: 'go', label: 'yes, go back (or Enter)' },
        { value: 'diff', label: 'show the paths' },
        { value: 'other', label: 'choose another' },
        { value: 'no', label: 'leave everything as it is' },
      ],
      output: process.stderr,
    });
    if (isCancel(answer) || answer === 'no') return 'no';
    // Enter alone names no key.
    if (answer === undefined || answer === 'go') return 'go';
    if (answer === 'other') return 'other';
    await preview(context, workspace, { spec, lines: PREVIEW_LINES_MAX });
  }
}

async function preview(
  { output }: CliContext,
  workspace: CommandTarget,
  wanted: { readonly spec: string; readonly lines: number },
): Promise<void> {
  const { changes } = await workspace.planRollback(wanted.spec);
  const counter = createChangeCounter();
  let shown = 0;
  for await (const change of changes) {
    counter.count(change);
    if (shown < wanted.lines) output.note(`  ${planLine(change, output.noteColors)}`);
    shown += 1;
  }
  if (wanted.lines > 0 && shown > wanted.lines) {
    output.note(`  and ${shown - wanted.lines} more`);
  }
  output.note(`  ${summaryLine(counter.stats())}`);
}

function lineOf(snapshot: SnapshotInfo, nowMs: number): string {
  const { id, label, tool, role } = snapshot;
  const words = [
    formatAge(snapshot.createdAt, nowMs).padEnd(12),
    tool === null ? '' : printableLine(tool),
    label === null ? '' : printableLine(label),
    role === 'ordinary' ? '' : role,
    id,
  ];
  return words.filter((word) => word !== '').join('  ');
}

function needsName(snapshots: readonly SnapshotInfo[]): GhostsnapError {
  const nowMs = Date.now();
  const named = snapshots.slice(0, NAMED_MAX);
  return new GhostsnapError('BAD_ARGUMENT', 'No snapshot is named, and nobody can choose here.', {
    hint:
      named.length === 0
        ? 'There is no snapshot yet.'
        : `Name one of them:\n${named.map((one) => `  ${lineOf(one, nowMs)}`).join('\n')}`,
    data: { snapshots: named.map(({ id }) => id) },
  });
}

function notChosen(): GhostsnapError {
  return new GhostsnapError('CONFIRMATION_NEEDED', 'No state was chosen.', {
    hint: 'Nothing was changed.',
  });
}
