/**
 * What a rule looks like while a call is judged: it sees every change once, then says what it found.
 *
 * Watching keeps counts and a few paths, never the changes: a call that deleted a million files is judged
 * in constant memory. A watch knows no other rule.
 */
import { POLICY_PATHS_NAMED_MAX } from '../limits.ts';
import { displayPath, type RawPath } from '../raw-path.ts';
import type { TreeChange } from '../tree-change.ts';

/** What a rule found: the sentence, and paths to name. */
export interface Objection {
  readonly message: string;
  readonly paths: readonly string[];
}

export interface RuleWatch {
  see(change: TreeChange): void;
  /**
   * How many files of the tree before the call must be counted before `objection` can answer: counting
   * may stop there. 0: none.
   */
  filesToCount(): number;
  /** @param filesBefore files counted, at least `filesToCount()` unless there were fewer */
  objection(filesBefore: number): Objection | null;
}

/** The first few paths, for a message. */
export class NamedPaths {
  readonly #paths: string[] = [];
  #count = 0;

  add(path: RawPath): void {
    this.#count += 1;
    if (this.#paths.length < POLICY_PATHS_NAMED_MAX) this.#paths.push(displayPath(path));
  }

  get count(): number {
    return this.#count;
  }

  get shown(): readonly string[] {
    return [...this.#paths];
  }
}

/** `1 file`, `2 files`. */
export function filesText(count: number): string {
  return `${count} ${count === 1 ? 'file' : 'files'}`;
}
