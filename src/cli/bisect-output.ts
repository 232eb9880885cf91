/**
 * Where a bisect stands, and what it found: the calls that ran between the last good and the first bad
 * state, whose they were, and what changed.
 */

import type { BisectPlan } from '../core/bisect.ts';
import { createChangeCounter } from '../core/change-stats.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { ChangeStats } from '../core/tree-change.ts';
import { type BisectAnswer, type BisectRecord, bisectAnswer } from '../engine/bisect.ts';
import type { CallOfSession } from '../engine/changes-between.ts';
import { withRenames } from '../engine/rename-stream.ts';
import type { TurnResult } from '../engine/results.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import { inputLine } from './call-line.ts';
import { statLine, summaryLine } from './change-lines.ts';
import type { CliContext, WorkspaceOptions } from './cli-context.ts';
import type { Output } from './output.ts';
import { printableLine } from './printable-text.ts';
import { printTurn } from './turn-output.ts';

/** Changed paths that are named; the rest is counted. */
const LINES_SHOWN_MAX = 20;

export interface Standing {
  readonly plan: BisectPlan;
  readonly record: BisectRecord;
  readonly options: Pick<WorkspaceOptions, 'json'>;
}

export async function printStanding(
  { output }: CliContext,
  workspace: Workspace,
  { plan, record, options }: Standing,
): Promise<void> {
  if (plan.next === null) await printAnswer(output, workspace, { plan, options });
  else if (options.json === true) {
    output.json({ state: 'trying', ...plan, path: record.path });
  } else printTrial(output, plan, record);
}

function printTrial(output: Output, plan: BisectPlan, record: BisectRecord): void {
  const { next, good, bad, untried, trialsLeft, skipped } = plan;
  output.line(`Try ${next}`);
  if (record.path !== null) output.line(`  in ${record.path}`);
  else output.note('  Its tree is not ready; make it with "ghostsnap bisect next".');
  const aside = skipped.length === 0 ? '' : `, ${skipped.length} skipped`;
  output.note(`  ${untried} left between ${good} and ${bad}${aside}: ${trialsLeft} to try`);
  output.note('  Then say "ghostsnap bisect good", "bad" or "skip".');
}

async function printAnswer(
  output: Output,
  workspace: Workspace,
  { plan, options }: Pick<Standing, 'plan' | 'options'>,
): Promise<void> {
  const answer = bisectAnswer(workspace, plan);
  if (options.json === true) {
    const stats = await showChanges(workspace, answer, () => {});
    output.json({ state: 'found', ...answer, stats });
    return;
  }
  output.line(verdictLine(answer));
  for (const one of answer.calls) printCall(output, one);
  for (const { operation, kind, target } of answer.operations) {
    output.line(`  ${output.colors.yellow(operation)}  ${kind} to ${target}`);
  }
  if (answer.unattributed) output.line('  Something was changed there without a call.');
  output.note(`  Good: ${answer.good}`);
  output.note(`  Bad:  ${answer.bad}`);
  if (answer.skipped.length > 0) {
    output.warn(`${answer.skipped.length} states between could not be judged.`);
  }
  const stats = await showChanges(workspace, answer, (line) => output.line(`  ${line}`), output);
  if (stats === null) output.warn('What changed is not known: a state is not kept any more.');
  else output.note(`  ${summaryLine(stats)}`);
  output.note('  End it with "ghostsnap bisect reset".');
}

function verdictLine({ calls, operations, unattributed, skipped }: BisectAnswer): string {
  const causes = calls.length + operations.length + (unattributed ? 1 : 0);
  if (causes === 0) return 'It broke between two states, without a tool call.';
  if (causes > 1) return `It broke by one of these ${causes}:`;
  if (skipped.length > 0) return 'It broke in a range of states; this is known of it:';
  if (calls.length === 1) return 'This tool call broke it:';
  return 'This broke it:';
}

function printCall(output: Output, { call, session, prompt }: CallOfSession): void {
  const { colors } = output;
  const name = `${colors.yellow(call.call)}  ${colors.cyan(printableLine(call.tool))}`;
  output.line(`  ${name}  ${printableLine(inputLine(call, null))}`.trimEnd());
  const harness = session === null ? '' : `  ${printableLine(session.harness)}`;
  output.line(`    session ${printableLine(call.session)}${harness}`);
  if (prompt !== null) output.line(`    ${colors.green(`> ${printableLine(prompt.text)}`)}`);
  if (call.overlaps.length > 0) {
    output.line(`    ${colors.magenta(`overlaps ${call.overlaps.join(', ')}`)}`);
  }
}

/** null: a state that is needed for it is not kept any more. */
async function showChanges(
  workspace: Workspace,
  { good, bad }: BisectAnswer,
  show: (line: string) => void,
  output?: Output,
): Promise<ChangeStats | null> {
  const counter = createChangeCounter();
  let shown = 0;
  try {
    const changes = workspace.diff(good, bad, { mtimes: false });
    for await (const change of withRenames(changes, { workspace, from: good, to: bad })) {
      counter.count(change);
      shown += 1;
      if (output !== undefined && shown <= LINES_SHOWN_MAX) show(statLine(change, output.colors));
    }
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'SNAPSHOT_NOT_FOUND') return null;
    throw error;
  }
  if (shown > LINES_SHOWN_MAX) show(`and ${shown - LINES_SHOWN_MAX} more`);
  return counter.stats();
}

export function printReset(
  output: Output,
  back: TurnResult | null,
  options: Pick<WorkspaceOptions, 'json'>,
): void {
  if (options.json === true) output.json({ state: 'reset', rolledBack: back });
  else if (back === null) output.line('The bisect is ended; the workspace was not touched.');
  else printTurn(output, back, 'text');
}
