/**
 * Broken requests by the thousand through a real service, by every way there is to it.
 *
 * Sent in small lots. After each the service must be there, a good request must be answered, and a lot of
 * which nothing was let through must have left the workspace's events as they were. What may have been let
 * through is waited for before the next lot, so that no event is laid to the wrong one's account.
 */
import type { ServingProcess } from '../service/serving-process.ts';
import { Chance } from './chance.ts';
import { BytesWay, FrameWay, type Outcome, RequestWay, type Way } from './fuzz-ways.ts';
import type { Known } from './request-samples.ts';
import { Http2Sender, UnixSender } from './request-senders.ts';
import {
  type Ask,
  askAsTenant,
  askOnSocket,
  eventsAfter,
  lastSequence,
  makeKnown,
  settle,
  sweep,
} from './workspace-owners.ts';

export const FUZZ_WAYS = ['unix', 'http2', 'frames', 'bytes'] as const;
export type FuzzWay = (typeof FUZZ_WAYS)[number];

export interface ServiceFuzzResult {
  readonly seen: number;
  /** By the first digit of the status; 0: those that had no answer. */
  readonly answers: Readonly<Record<string, number>>;
  /** Lots of which nothing was let through: the catalog had to be as before. */
  readonly lotsJudged: number;
  readonly rssBytesMax: number;
  /** The first that broke a promise, and how; null: none did. */
  readonly broken: string | null;
}

/** A service that arms nothing by itself, so that events come from requests alone, and refuses at once. */
export const FUZZED_CONFIG = { arming: 'off', refusalsPerSecond: 1_000_000 } as const;

const LOT = 16;
/** Fuzzed side by side. */
const WORKSPACES = 4;
/** Lots on a workspace before all are swept away. */
const LOTS_A_WORKSPACE = 200;
/** Good requests after which one that still has no answer is not waited for any more. */
const PATIENCE = 6;

export interface FuzzOptions {
  readonly serving: ServingProcess;
  readonly way: FuzzWay;
  readonly count: number;
  readonly seed: number;
}

export async function fuzzService(options: FuzzOptions): Promise<ServiceFuzzResult> {
  const { serving, way, count, seed } = options;
  const ask = way === 'unix' ? askOnSocket(serving) : askAsTenant(serving);
  const counts: Counts = { seen: 0, answers: {}, lotsJudged: 0, rssBytesMax: 0 };
  let broken: string | null = null;
  for (let round = 0; counts.seen < count && broken === null; round += 1) {
    const runs = Array.from({ length: WORKSPACES }, async (_, n) => {
      const name = `${seed}-${round}-${n}`;
      const chance = new Chance(seed * 1_000_003 + round * WORKSPACES + n);
      using sender = wayOf(way, serving, chance);
      return await new FuzzRun({ serving, way: sender, ask, name, counts, count }).run();
    });
    broken = (await Promise.all(runs)).find((found) => found !== null) ?? null;
    await sweep(ask, serving.template);
  }
  return { ...counts, broken };
}

function wayOf(name: FuzzWay, serving: ServingProcess, chance: Chance): Way {
  const { port, certificates, socket } = serving;
  const tls = certificates.credentials('red-operator');
  switch (name) {
    case 'unix':
      return new RequestWay(new UnixSender(socket, chance), chance);
    case 'http2':
      return new RequestWay(new Http2Sender({ port, tls }), chance);
    case 'frames':
      return new FrameWay(serving, chance);
    case 'bytes':
      return new BytesWay(serving, chance);
  }
}

/** Of all runs together. */
interface Counts {
  seen: number;
  answers: Record<string, number>;
  lotsJudged: number;
  rssBytesMax: number;
}

interface FuzzParts {
  readonly serving: ServingProcess;
  readonly way: Way;
  readonly ask: Ask;
  readonly name: string;
  readonly counts: Counts;
  /** Requests after which no more are sent. */
  readonly count: number;
}

/** Lots on a workspace of its own, one after the other. */
class FuzzRun {
  readonly #parts: FuzzParts;
  #lots = 0;

  constructor(parts: FuzzParts) {
    this.#parts = parts;
  }

  /** @returns what broke a promise; null: nothing */
  async run(): Promise<string | null> {
    const { ask, serving, counts, count } = this.#parts;
    const known = await makeKnown(ask, serving.template);
    let before = await lastSequence(ask, known);
    for (let lot = 0; lot < LOTS_A_WORKSPACE && counts.seen < count; lot += 1) {
      const outcomes = await this.#send(known);
      const found = this.#brokenIn(outcomes);
      if (found !== null) return found;
      const isRefused = outcomes.every(({ effect }) => effect === 'none');
      if (!isRefused) await settle(ask, known);
      const after = await lastSequence(ask, known);
      if (isRefused) {
        counts.lotsJudged += 1;
        if (after !== before) {
          const sent = outcomes.map(({ status, sent }) => `${status} ${sent}`);
          const events = after === null ? 'it is gone' : await eventsAfter(ask, known, before);
          return `${events}\nafter what was refused:\n${sent.join('\n')}`;
        }
      }
      if (after === null) return null;
      before = after;
    }
    return null;
  }

  async #send(known: Known): Promise<readonly Outcome[]> {
    const { way, serving, name, counts } = this.#parts;
    const enough = new AbortController();
    this.#lots += 1;
    const key = `${name}-${this.#lots}`;
    let isAnswered = false;
    const sending = way.send({ known, key, size: LOT, isEnough: enough.signal });
    const answered = sending.finally(() => {
      isAnswered = true;
    });
    const patience = this.#patience(() => isAnswered).then(() => enough.abort());
    const outcomes = await answered;
    await patience;
    for (const { status } of outcomes) {
      const digit = String(status)[0] ?? '0';
      counts.answers[digit] = (counts.answers[digit] ?? 0) + 1;
    }
    counts.seen += outcomes.length;
    counts.rssBytesMax = Math.max(counts.rssBytesMax, serving.use().rssBytes);
    return outcomes;
  }

  /** Good requests between the bad ones: each must be answered, whatever else is on its way. */
  async #patience(isAnswered: () => boolean): Promise<void> {
    for (let n = 0; n < PATIENCE && !isAnswered(); n += 1) await this.#parts.ask('getUsage', {});
  }

  #brokenIn(outcomes: readonly Outcome[]): string | null {
    const found = outcomes.find(({ broken }) => broken !== null);
    if (found !== undefined) return `${found.broken}\nsent: ${found.sent}`;
    const { serving } = this.#parts;
    const [defect] = serving.defects;
    const what = serving.ended ?? (defect === undefined ? null : JSON.stringify(defect));
    return what === null ? null : `${what}\n${outcomes.map(({ sent }) => sent).join('\n')}`;
  }
}
