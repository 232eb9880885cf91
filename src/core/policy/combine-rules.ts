/**
 * Putting the rules in force together: built in, the person's, the workspace's.
 *
 * The person's rules of a name take the place of the built-in ones of that name, so a person can loosen
 * anything; 'off' takes them away. The workspace's rules come in addition to all of that and take nothing
 * away: whoever writes the workspace's file, an agent included, can only make the judgement harder.
 */
import {
  DEFAULT_RULES,
  type PolicyRule,
  type RuleName,
  type RuleSource,
  type SourcedRule,
} from './policy-rule.ts';

/** Rules that may be turned off: an empty statement about a rule of that name. */
export type UserRule = PolicyRule | { readonly rule: RuleName; readonly action: 'off' };

export interface UserPolicy {
  readonly rules: readonly UserRule[];
  /** 'ignore': rules in ghostsnap.json of a workspace do not count. */
  readonly workspaceFile: 'tighten' | 'ignore';
}

export const NO_USER_POLICY: UserPolicy = { rules: [], workspaceFile: 'tighten' };

export function combineRules(
  user: UserPolicy,
  workspace: readonly PolicyRule[],
): readonly SourcedRule[] {
  const named = new Set(user.rules.map(({ rule }) => rule));
  const kept = DEFAULT_RULES.filter(({ rule }) => !named.has(rule));
  const own = user.rules.flatMap((rule) => (rule.action === 'off' ? [] : [rule as PolicyRule]));
  const added = user.workspaceFile === 'ignore' ? [] : workspace;
  const from = (source: RuleSource) => (rule: PolicyRule) => ({ rule, source });
  return [...kept.map(from('default')), ...own.map(from('user')), ...added.map(from('workspace'))];
}
