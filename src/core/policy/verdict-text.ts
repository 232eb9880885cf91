/**
 * A verdict in words: for the agent, in its hook's own channel, and for the person who asks.
 *
 * The agent reads what was found, what follows and how to go on; nothing from the workspace but paths in
 * their display form, so that no file name speaks in our voice over more than its own line.
 */
import type { Finding, Verdict } from './policy-rule.ts';

/** What happened to a verdict that demands a rollback. */
export type RollbackOutcome = 'done' | 'not-alone' | 'failed' | 'planned';

/** null: the agent need not be told anything. */
export function verdictForAgent(verdict: Verdict, rollback: RollbackOutcome | null): string | null {
  const told = verdict.findings.filter(({ action }) => action !== 'note');
  if (told.length === 0) return null;
  return [headOf(verdict, rollback), ...told.map(findingLine)].join('\n');
}

export function findingLine({ rule, message, paths }: Finding): string {
  const others = paths.filter((path) => !message.includes(path));
  const named = others.length === 0 ? '' : ` (${others.join(', ')})`;
  return `- ${message} [${rule}]${named}`;
}

function headOf({ action }: Verdict, rollback: RollbackOutcome | null): string {
  if (action === 'rollback') return ROLLBACK_HEADS[rollback ?? 'planned'];
  if (action === 'ask') {
    return 'ghostsnap: stop here and ask the person whether this was meant; "ghostsnap undo" takes it back.';
  }
  return 'ghostsnap: this call did more than usual. If it was not meant, "ghostsnap undo" takes it back.';
}

const ROLLBACK_HEADS: Readonly<Record<RollbackOutcome, string>> = {
  done: 'ghostsnap: the workspace was put back to the state before this call, because of the policy. Do not repeat it; ask the person.',
  'not-alone':
    'ghostsnap: the policy demands that this call is taken back, but other calls ran at the same time. Stop and ask the person.',
  failed:
    'ghostsnap: the policy demands that this call is taken back, and that failed. Stop and ask the person.',
  planned: 'ghostsnap: the policy demands that this call is taken back.',
};
