/**
 * Judging what one tool call did, from the stream of its changes. Pure: no clock, no tree, no policy file.
 *
 * Every rule watches for itself and the strongest objection counts. Only a rule about shares needs to know
 * how large the tree was; how far it must be counted is said beforehand, and for an ordinary call not at all.
 */
import type { TreeChange } from '../tree-change.ts';
import { watchDeletedBytes } from './deleted-bytes.ts';
import { watchDeletedFiles } from './deleted-files.ts';
import { watchDeletedShare } from './deleted-share.ts';
import { watchModes } from './modes.ts';
import { watchOwners } from './owners.ts';
import {
  type ChangeRule,
  type Finding,
  type SourcedRule,
  severityOf,
  strongestAction,
  type Verdict,
} from './policy-rule.ts';
import { watchProtectedPaths } from './protected-paths.ts';
import type { RuleWatch } from './rule-watch.ts';
import { watchWrittenBytes } from './written-bytes.ts';

export interface CallJudge {
  see(change: TreeChange): void;
  /** Files of the tree before the call that `verdict` needs counted; counting may stop there. */
  filesToCount(): number;
  verdict(filesBefore: number): Verdict;
}

export function judgeChanges(rules: readonly SourcedRule[]): CallJudge {
  const watches = rules.flatMap(({ rule, source }) =>
    // Spoken of before a call runs; a command alone changes nothing.
    rule.rule === 'destructive-commands' ? [] : [{ rule, source, watch: watchOf(rule) }],
  );
  return {
    see: (change) => {
      if (change.kind === 'uncovered') return;
      for (const { watch } of watches) watch.see(change);
    },
    filesToCount: () => Math.max(0, ...watches.map(({ watch }) => watch.filesToCount())),
    verdict: (filesBefore) => {
      const findings = watches.flatMap(({ rule, source, watch }): Finding[] => {
        const objection = watch.objection(filesBefore);
        if (objection === null) return [];
        return [{ rule: rule.rule, source, action: rule.action, ...objection }];
      });
      return verdictOf(findings);
    },
  };
}

/** Strongest first; the order of the rules decides among equals. */
export function verdictOf(findings: readonly Finding[]): Verdict {
  const sorted = [...findings].sort((a, b) => severityOf(b.action) - severityOf(a.action));
  return { action: strongestAction(sorted), findings: sorted };
}

function watchOf(rule: ChangeRule): RuleWatch {
  switch (rule.rule) {
    case 'deleted-files':
      return watchDeletedFiles(rule);
    case 'deleted-share':
      return watchDeletedShare(rule);
    case 'deleted-bytes':
      return watchDeletedBytes(rule);
    case 'written-bytes':
      return watchWrittenBytes(rule);
    case 'protected-paths':
      return watchProtectedPaths(rule);
    case 'modes':
      return watchModes(rule);
    case 'owners':
      return watchOwners(rule);
  }
}
