/** The rule `deleted-bytes`: files with more than so many bytes in all deleted. */
import { DeletedTally } from './deleted-tally.ts';
import { compilePatterns } from './path-pattern.ts';
import type { PolicyRule } from './policy-rule.ts';
import { filesText, type RuleWatch } from './rule-watch.ts';

export function watchDeletedBytes(rule: Extract<PolicyRule, { rule: 'deleted-bytes' }>): RuleWatch {
  const tally = new DeletedTally(compilePatterns(rule.except));
  return {
    see: (change) => tally.see(change),
    filesToCount: () => 0,
    objection: () => {
      if (tally.bytes <= rule.maxBytes) return null;
      const what = `${filesText(tally.files)} with ${tally.bytes} bytes`;
      const message = `It deleted ${what}, more than the ${rule.maxBytes} allowed.`;
      return { message, paths: tally.named.shown };
    },
  };
}
