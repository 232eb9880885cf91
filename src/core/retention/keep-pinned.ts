/**
 * A pin is a person's word: nothing pinned is ever dropped, whatever the policy says.
 */
import type { RetentionRule } from './rule.ts';

export const keepPinned: RetentionRule = (candidates) =>
  new Map(candidates.filter(({ pinned }) => pinned).map(({ id }) => [id, 'pinned']));
