/**
 * Answers that were given, for requests that are repeated.
 *
 * A convenience of the moment, not a record: what was done is in the engines' catalogs and in the ledger,
 * whatever becomes of the answers.
 */

/** An answer that a repeated request is given again. */
export interface KeptAnswer {
  /** Who asked and by which key. */
  readonly request: string;
  /** Of the operation and its input: another request under the same key is told apart by it. */
  readonly fingerprint: string;
  /** JSON: `{"ok": output}` or `{"error": {...}}`. */
  readonly body: string;
  readonly atMs: number;
}

export interface AnswerStore extends Disposable {
  /** null: none is kept any more. */
  answer(request: string): KeptAnswer | null;
  /**
   * In one transaction; survives the process, not the power. One for the same request takes the place of
   * what is kept, which was too old to be given: a key is used again.
   */
  keepAnswers(answers: readonly KeptAnswer[]): void;
  /** Forgets answers from before `beforeMs`, and the oldest beyond `countMax`; a bounded number a call. */
  forgetAnswers(beforeMs: number, countMax: number): void;
}
