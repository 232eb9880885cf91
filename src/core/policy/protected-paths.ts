/** The rule `protected-paths`: something happened to a path that is protected. */
import type { TreeChange } from '../tree-change.ts';
import { compilePatterns } from './path-pattern.ts';
import type { PolicyRule, ProtectedChange } from './policy-rule.ts';
import { NamedPaths, type RuleWatch } from './rule-watch.ts';

export function watchProtectedPaths(
  rule: Extract<PolicyRule, { rule: 'protected-paths' }>,
): RuleWatch {
  const patterns = compilePatterns(rule.paths);
  const named = new NamedPaths();
  return {
    see: (change) => {
      const isMeant = changesOf(change).some((kind) => rule.changes.includes(kind));
      if (isMeant && patterns.matches(change.path)) named.add(change.path);
    },
    filesToCount: () => 0,
    objection: () => {
      if (named.count === 0) return null;
      const [first = ''] = named.shown;
      const others = named.count === 1 ? '' : ` and ${named.count - 1} more`;
      const message = `It changed what is protected: ${first}${others}.`;
      return { message, paths: named.shown };
    },
  };
}

/** Another type of thing in the place of a path: what was there is gone, something new is there. */
function changesOf({ kind, fields }: TreeChange): readonly ProtectedChange[] {
  switch (kind) {
    case 'added':
    case 'deleted':
      return [kind];
    case 'type':
      return ['deleted', 'added'];
    case 'modified':
      return ['modified'];
    case 'metadata':
      return fields.every((field) => field === 'mtime') ? [] : ['metadata'];
    case 'renamed':
    case 'uncovered':
      return [];
  }
}
