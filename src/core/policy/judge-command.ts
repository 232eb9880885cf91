/**
 * What a policy says of a command before it runs. Pure.
 *
 * Only what is recognised can be spoken of, so this is advice, or a question to the person where a rule
 * wants one; what a call really did is judged afterwards, whatever was said before.
 */
import { type Advice, adviseOn } from './destructive-command.ts';
import type { CommandRule, SourcedRule } from './policy-rule.ts';

export interface CommandVerdict {
  /** 'warn': the agent is told. 'ask': a person is asked first, too. */
  readonly action: 'warn' | 'ask';
  readonly advice: readonly Advice[];
}

/** null: there is nothing to say. */
export function judgeCommand(line: string, rules: readonly SourcedRule[]): CommandVerdict | null {
  const said = rules.flatMap(({ rule }) => (isCommandRule(rule) ? [rule] : []));
  const asked = meantBy(line, said, 'ask');
  if (asked.length > 0) return { action: 'ask', advice: asked };
  const told = meantBy(line, said, 'warn');
  return told.length > 0 ? { action: 'warn', advice: told } : null;
}

function meantBy(
  line: string,
  rules: readonly CommandRule[],
  action: CommandVerdict['action'],
): readonly Advice[] {
  const own = rules.filter((rule) => rule.action === action);
  if (own.length === 0) return [];
  return adviseOn(line).filter(({ command }) =>
    own.some(({ except }) => !except.includes(command)),
  );
}

function isCommandRule(rule: SourcedRule['rule']): rule is CommandRule {
  return rule.rule === 'destructive-commands';
}

/** For the agent before its call, or for the question to the person. */
export function commandVerdictText({ action, advice }: CommandVerdict): string {
  const head =
    action === 'ask'
      ? 'ghostsnap: the policy asks the person before this command runs.'
      : 'ghostsnap: this command usually destroys something. The state before it is kept; "ghostsnap undo-call @" takes it back.';
  return [head, ...advice.map(({ command, effect }) => `- ${command}: ${effect}`)].join('\n');
}
