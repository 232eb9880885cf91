/**
 * The newest snapshot stays under every policy: it is what the next rollback most likely wants, and
 * what the next snapshot is compared with.
 */
import type { RetentionRule } from './rule.ts';

export const keepNewest: RetentionRule = ([newest]) =>
  new Map(newest === undefined ? [] : [[newest.id, 'the newest snapshot']]);
