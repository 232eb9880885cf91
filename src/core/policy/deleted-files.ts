/** The rule `deleted-files`: more than so many files deleted. */
import { DeletedTally } from './deleted-tally.ts';
import { compilePatterns } from './path-pattern.ts';
import type { PolicyRule } from './policy-rule.ts';
import { filesText, type RuleWatch } from './rule-watch.ts';

export function watchDeletedFiles(rule: Extract<PolicyRule, { rule: 'deleted-files' }>): RuleWatch {
  const tally = new DeletedTally(compilePatterns(rule.except));
  return {
    see: (change) => tally.see(change),
    filesToCount: () => 0,
    objection: () => {
      if (tally.files <= rule.max) return null;
      const message = `It deleted ${filesText(tally.files)}, more than the ${rule.max} allowed.`;
      return { message, paths: tally.named.shown };
    },
  };
}
