/**
 * When a request is sent again, and when not: exponential backoff with full jitter, within a budget.
 *
 * A service that is in trouble must not be kept there by those who wait for it. So repeats are a small part
 * of what a client sends anyway: each request earns a tenth of a repeat, few are saved up, and those that
 * wait are spread over so long that a thousand clients which fail in the same moment send an eighth more
 * than always and not twice as much. (Clients that ask less than thrice in ten seconds know no rate of their
 * own: they repeat soon, once.) A repeat that could not come before the deadline is not waited for.
 * No library here counts a budget, so these rules are our own. Time and chance come in as values.
 *
 * Source: "Exponential Backoff And Jitter" (full jitter), "Handling Overload" of the SRE book (budget).
 */

/** Repeats that a request earns. */
const EARNED = 0.1;

/** Repeats saved up, in seconds of the client's own rate; one at least. */
const SAVED_S = 10;

/** Repeats a second that are sent at most, as a part of the client's own rate. */
const PACE = 0.125;

const BASE_MS = 100;
const CAP_MS = 10_000;

/** Seconds over which the client's own rate is taken. */
const RATE_WINDOW_S = 10;
/** Fewer requests than this in the window say nothing of a rate. */
const RATE_REQUESTS_MIN = 3;

/** Tries of one request, the first one counted. */
export const ATTEMPTS_MAX = 5;

export class RetryBudget {
  readonly #nowMs: () => number;
  readonly #random: () => number;
  /** First tries in each second of the window, oldest first. */
  #sent: { readonly second: number; count: number }[] = [];
  #tokens = 1;
  #waiting = 0;

  constructor(options: { readonly nowMs: () => number; readonly random: () => number }) {
    this.#nowMs = options.nowMs;
    this.#random = options.random;
  }

  /** A request is sent for the first time. */
  request(): void {
    const second = Math.floor(this.#nowMs() / 1000);
    const last = this.#sent.at(-1);
    if (last?.second === second) last.count += 1;
    else this.#sent.push({ second, count: 1 });
    const savedMax = Math.max(1, EARNED * SAVED_S * this.#ratePerS());
    this.#tokens = Math.min(savedMax, this.#tokens + EARNED);
  }

  /**
   * @param attempt the tries that failed, 1 or more
   * @param floorMs what the service asked for (`Retry-After`), 0 when it said nothing
   * @returns milliseconds to wait before the next try; null: no more. Each that is not null is followed by
   *   `waited`.
   */
  retryAfterMs(attempt: number, floorMs: number): number | null {
    if (attempt >= ATTEMPTS_MAX || this.#tokens < 1) return null;
    this.#tokens -= 1;
    this.#waiting += 1;
    const jitterMs = this.#random() * Math.min(CAP_MS, BASE_MS * 2 ** attempt);
    const ratePerS = this.#ratePerS();
    // Who sends seldom waits longer: many such are what a herd is made of.
    const spreadMs = ratePerS === 0 ? 0 : (this.#waiting * 1000) / (PACE * ratePerS);
    const pacedMs = this.#random() * spreadMs;
    // On top of what was asked for, so that those who were told the same do not come at the same time.
    return floorMs + Math.max(jitterMs, pacedMs);
  }

  /** The wait is over, whether the request was sent again or given up. */
  waited(): void {
    this.#waiting -= 1;
  }

  /** 0: too little is known, as for a program that asks one thing and ends. */
  #ratePerS(): number {
    const nowS = this.#nowMs() / 1000;
    this.#sent = this.#sent.filter(({ second }) => second > nowS - RATE_WINDOW_S - 1);
    const count = this.#sent.reduce((sum, entry) => sum + entry.count, 0);
    if (count < RATE_REQUESTS_MIN) return 0;
    return count / Math.max(1, nowS - (this.#sent[0]?.second ?? nowS));
  }
}

/** Milliseconds that `Retry-After` asks for, whole seconds only; 0 for anything else. */
export function retryAfterOf(header: unknown): number {
  return typeof header === 'string' && /^[0-9]{1,5}$/.test(header) ? Number(header) * 1000 : 0;
}
