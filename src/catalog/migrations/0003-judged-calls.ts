/** Version 3: what a policy said of a call, beside the call. */
import type { Migration } from './migration.ts';

export const judgedCalls: Migration = {
  version: 3,
  run: (database) => database.exec('ALTER TABLE calls ADD COLUMN judged TEXT'),
};
