/** The rule `deleted-share`: more than so many per cent of all files deleted. */
import { DeletedTally } from './deleted-tally.ts';
import { compilePatterns } from './path-pattern.ts';
import type { PolicyRule } from './policy-rule.ts';
import { filesText, type RuleWatch } from './rule-watch.ts';

export function watchDeletedShare(rule: Extract<PolicyRule, { rule: 'deleted-share' }>): RuleWatch {
  const tally = new DeletedTally(compilePatterns(rule.except));
  /** With so many files or more in the tree, what was deleted is a share that is allowed. */
  const enoughFiles = (): number => Math.ceil((tally.files * 100) / Math.max(rule.maxPercent, 1));
  return {
    see: (change) => tally.see(change),
    filesToCount: () => (tally.files < rule.minFiles || tally.files === 0 ? 0 : enoughFiles()),
    objection: (filesBefore) => {
      const isFew = tally.files < rule.minFiles || tally.files === 0;
      if (isFew || tally.files * 100 <= rule.maxPercent * filesBefore) return null;
      const of = `${filesText(tally.files)} of ${filesBefore}`;
      const message = `It deleted ${of}, more than ${rule.maxPercent} % of the tree.`;
      return { message, paths: tally.named.shown };
    },
  };
}
