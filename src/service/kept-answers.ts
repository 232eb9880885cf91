/**
 * Idempotency: a mutation that is asked twice under one key happens once, and both get the first answer.
 *
 * The key is the caller's: two principals never share one. A repetition while the first is under way waits
 * for it; one that comes later is answered from the store, from before a restart too. The same key with
 * another request is a conflict. An answer is kept before it is given: a reply waits for its commit, which
 * those that are made in the same turn of the event loop share, and a catalog lands many in one. What may
 * succeed on a later try (a transient error, a full queue, a full pool) is no answer and is not kept. Kept
 * for a time and up to a number; a client repeats itself within minutes.
 */
import { createHash } from 'node:crypto';
import type { Principal } from '../api/principal.ts';
import { ERROR_KINDS, type ErrorCode, type ErrorData, GhostsnapError } from '../core/errors.ts';
import { IDEMPOTENCY_KEY_LENGTH_MAX } from '../core/limits.ts';
import type { AnswerStore, KeptAnswer } from './answer-store.ts';
import type { ServiceStep } from './service-step.ts';

export interface KeptAnswersOptions {
  readonly store: AnswerStore;
  readonly nowMs: () => number;
  /** As they are now. */
  readonly bounds: () => { readonly keepMs: number; readonly countMax: number };
  /** An answer that could not be kept; it is given all the same. */
  readonly onError: (error: unknown) => void;
  readonly onStep: (step: ServiceStep) => void;
}

export interface Mutation {
  readonly principal: Principal;
  readonly key: string | undefined;
  readonly operation: string;
  /** Parsed, so that equal requests are equal text. */
  readonly input: unknown;
}

/** Groups between two looks at what may be forgotten. */
const GROUPS_PER_SWEEP = 32;

const KEY = /^[\x21-\x7e]+$/;

interface UnderWay {
  readonly fingerprint: string;
  readonly answer: Promise<unknown>;
}

export class KeptAnswers {
  readonly #options: KeptAnswersOptions;
  readonly #underWay = new Map<string, UnderWay>();
  #group: { readonly answers: KeptAnswer[]; readonly kept: Promise<void> } | null = null;
  #groups = 0;

  constructor(options: KeptAnswersOptions) {
    this.#options = options;
  }

  /** What a mutation is known by, for whoever has to find its effect again after a crash. */
  static requestOf({ principal, key }: Pick<Mutation, 'principal' | 'key'>): string {
    return `${principal.tenant}\n${principal.id}\n${parseKey(key)}`;
  }

  /**
   * @throws GhostsnapError BAD_ARGUMENT without a key, IDEMPOTENCY_CONFLICT, and what `work` throws or
   *   threw the first time
   */
  async once<T>(mutation: Mutation, work: () => Promise<T>): Promise<T> {
    const request = KeptAnswers.requestOf(mutation);
    const fingerprint = fingerprintOf(mutation);
    const underWay = this.#underWay.get(request);
    if (underWay !== undefined) {
      assertSame(underWay, fingerprint);
      return (await underWay.answer) as T;
    }
    const kept = this.#options.store.answer(request);
    if (kept !== null && kept.atMs >= this.#options.nowMs() - this.#options.bounds().keepMs) {
      assertSame(kept, fingerprint);
      return answerAgain<T>(kept);
    }
    const answer = this.#first(request, fingerprint, work);
    this.#underWay.set(request, { fingerprint, answer });
    try {
      return await answer;
    } finally {
      this.#underWay.delete(request);
    }
  }

  async #first<T>(request: string, fingerprint: string, work: () => Promise<T>): Promise<T> {
    try {
      const output = await work();
      this.#options.onStep('answer.made');
      await this.#keep({ request, fingerprint, body: JSON.stringify({ ok: output }) });
      this.#options.onStep('answer.kept');
      return output;
    } catch (error) {
      if (error instanceof GhostsnapError && isFinal(error)) {
        await this.#keep({ request, fingerprint, body: JSON.stringify({ error }) });
      }
      throw error;
    }
  }

  #keep(answer: Omit<KeptAnswer, 'atMs'>): Promise<void> {
    const group = this.#group ?? this.#begin();
    group.answers.push({ ...answer, atMs: this.#options.nowMs() });
    return group.kept;
  }

  #begin(): { readonly answers: KeptAnswer[]; readonly kept: Promise<void> } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const group = { answers: [], kept: promise };
    this.#group = group;
    // Not after a while: waking up again for it costs more than the commit, and the reply would wait.
    setImmediate(() => {
      this.#group = null;
      this.#commit(group.answers);
      resolve();
    });
    return group;
  }

  #commit(answers: readonly KeptAnswer[]): void {
    const { store, nowMs, bounds, onError } = this.#options;
    const { keepMs, countMax } = bounds();
    try {
      store.keepAnswers(answers);
      this.#groups += 1;
      if (this.#groups % GROUPS_PER_SWEEP === 0) store.forgetAnswers(nowMs() - keepMs, countMax);
    } catch (error) {
      onError(error);
    }
  }
}

/** Where there was no room nothing was begun: under the same key it is, once there is some. */
function isFinal({ kind }: GhostsnapError): boolean {
  return kind !== 'limit' && !ERROR_KINDS[kind].retryable;
}

function parseKey(key: string | undefined): string {
  if (key !== undefined && key.length <= IDEMPOTENCY_KEY_LENGTH_MAX && KEY.test(key)) return key;
  throw new GhostsnapError('BAD_ARGUMENT', 'A change needs an idempotency key.', {
    hint: `Send "Idempotency-Key" with at most ${IDEMPOTENCY_KEY_LENGTH_MAX} visible characters, new for each change and the same when it is repeated.`,
  });
}

function fingerprintOf({ operation, input }: Mutation): string {
  const text = `${operation}\n${JSON.stringify(input)}`;
  return createHash('sha256').update(text).digest('base64url');
}

function assertSame({ fingerprint: first }: { readonly fingerprint: string }, now: string): void {
  if (first === now) return;
  throw new GhostsnapError(
    'IDEMPOTENCY_CONFLICT',
    'The idempotency key was used before, for another request.',
    { hint: 'Take a new key for each change.' },
  );
}

function answerAgain<T>({ body }: KeptAnswer): T {
  const parsed = JSON.parse(body) as {
    readonly ok?: T;
    readonly error?: {
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint?: string;
      readonly data: ErrorData;
    };
  };
  if (parsed.error === undefined) return parsed.ok as T;
  const { code, message, hint, data } = parsed.error;
  throw new GhostsnapError(code, message, { data, ...(hint === undefined ? {} : { hint }) });
}
