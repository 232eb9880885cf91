/** The rule `modes`: a file or directory gained a permission. */
import type { TreeEntry } from '../tree-entry.ts';
import { compilePatterns } from './path-pattern.ts';
import type { ModeFlag, PolicyRule } from './policy-rule.ts';
import { NamedPaths, type RuleWatch } from './rule-watch.ts';

const BITS: Readonly<Record<Exclude<ModeFlag, 'any'>, number>> = {
  setuid: 0o4000,
  setgid: 0o2000,
  'world-writable': 0o002,
  executable: 0o111,
};

export function watchModes(rule: Extract<PolicyRule, { rule: 'modes' }>): RuleWatch {
  const except = compilePatterns(rule.except);
  const named = new NamedPaths();
  const gained = new Set<ModeFlag>();
  return {
    see: ({ path, from, to }) => {
      if (to === null || (to.type !== 'file' && to.type !== 'dir')) return;
      const flags = rule.flags.filter((flag) => hasGained(flag, from, to));
      if (flags.length === 0 || except.matches(path)) return;
      named.add(path);
      for (const flag of flags) gained.add(flag);
    },
    filesToCount: () => 0,
    objection: () => {
      if (named.count === 0) return null;
      const [first = ''] = named.shown;
      const others = named.count === 1 ? '' : ` and ${named.count - 1} more`;
      const words = [...gained].map((flag) => (flag === 'any' ? 'other permissions' : flag));
      const message = `It made ${first}${others} ${words.join(', ')}.`.replace(
        ' other permissions',
        ' have other permissions',
      );
      return { message, paths: named.shown };
    },
  };
}

function hasGained(flag: ModeFlag, from: TreeEntry | null, to: TreeEntry): boolean {
  if (flag === 'any') return from !== null && from.mode !== to.mode;
  // A directory is entered by its x bits: they say nothing about running something.
  if (flag === 'executable' && to.type === 'dir') return false;
  const bits = BITS[flag];
  if (flag === 'executable') return (to.mode & bits) !== 0 && ((from?.mode ?? 0) & bits) === 0;
  return (to.mode & ~(from?.mode ?? 0) & bits) !== 0;
}
