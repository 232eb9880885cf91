/** The rule `owners`: a path that was there has another owner or group. */
import { compilePatterns } from './path-pattern.ts';
import type { PolicyRule } from './policy-rule.ts';
import { NamedPaths, type RuleWatch } from './rule-watch.ts';

export function watchOwners(rule: Extract<PolicyRule, { rule: 'owners' }>): RuleWatch {
  const except = compilePatterns(rule.except);
  const named = new NamedPaths();
  return {
    see: ({ path, from, to }) => {
      if (from === null || to === null || except.matches(path)) return;
      if (from.uid !== to.uid || from.gid !== to.gid) named.add(path);
    },
    filesToCount: () => 0,
    objection: () => {
      if (named.count === 0) return null;
      const [first = ''] = named.shown;
      const others = named.count === 1 ? '' : ` and ${named.count - 1} more`;
      return { message: `It gave ${first}${others} another owner.`, paths: named.shown };
    },
  };
}
