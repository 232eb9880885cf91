/**
 * One step of the catalog's format, from the version before it to its own.
 *
 * A migration that was released is never edited: files in that format exist. A change of the format is
 * a new file with the next number.
 */
import type { DatabaseSync } from 'node:sqlite';

export interface Migration {
  /** The format's version after this step: 1, 2, 3, ... */
  readonly version: number;
  /** Runs inside the transaction that also writes the new version. */
  readonly run: (database: DatabaseSync) => void;
}
