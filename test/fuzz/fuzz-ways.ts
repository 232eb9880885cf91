/** Ways to the service, each sending lots of broken requests and judging what came back. */
import { once } from 'node:events';
import http2, { type ClientHttp2Session } from 'node:http2';
import { text } from 'node:stream/consumers';
import { ROUTES } from '../../src/api/routes.ts';
import { FLAG, FRAME, RawHttp2 } from '../api/tls/raw-http2.ts';
import type { ServingProcess } from '../service/serving-process.ts';
import { type Judged, judgeAnswer, judgeOutput, judgeProblem } from './answer-rules.ts';
import type { Chance } from './chance.ts';
import { brokenBytes, sampleBytes } from './mutated-http2.ts';
import { brokenJson, fieldsOf, mutatedRequest, withOtherField } from './mutated-request.ts';
import { type Known, sampleFrames, sampleRequests } from './request-samples.ts';
import { type Sender, UNSENDABLE } from './request-senders.ts';

export interface Outcome extends Judged {
  /** 0: it had no answer. */
  readonly status: number;
  /** For whoever has to understand a finding. */
  readonly sent: string;
}

export interface Lot {
  readonly known: Known;
  /** A new one for every lot. */
  readonly key: string;
  readonly size: number;
  /** Aborts when nothing more is to be waited for. */
  readonly isEnough: AbortSignal;
}

export interface Way extends Disposable {
  send(lot: Lot): Promise<readonly Outcome[]>;
}

export class RequestWay implements Way {
  readonly #sender: Sender;
  readonly #chance: Chance;

  constructor(sender: Sender, chance: Chance) {
    this.#sender = sender;
    this.#chance = chance;
  }

  async send({ known, key, size, isEnough }: Lot): Promise<readonly Outcome[]> {
    const outcomes = await Promise.all(
      Array.from({ length: size }, async (_, n): Promise<Outcome | null> => {
        const sample = this.#chance.pick(sampleRequests(known, `${key}-${n}`));
        const request = mutatedRequest(sample, this.#chance);
        const answer = await this.#sender.send(request, isEnough);
        if (answer === UNSENDABLE) return null;
        const sent = JSON.stringify(request).slice(0, 2000);
        if (answer === null) return { status: 0, effect: 'possible', broken: null, sent };
        // What ended without an answer was no request, or none that was whole.
        if (answer === 'reset') return { status: 0, effect: 'none', broken: null, sent };
        // A body that HTTP has none of for HEAD can't be judged.
        if (request.method === 'HEAD') return { ...JUDGED_NOTHING, status: answer.status, sent };
        const judged = judgeAnswer(answer, `${request.method} ${request.target}`);
        return { ...judged, status: answer.status, sent };
      }),
    );
    return outcomes.filter((outcome) => outcome !== null);
  }

  [Symbol.dispose](): void {
    this.#sender[Symbol.dispose]();
  }
}

const JUDGED_NOTHING: Judged = { effect: 'none', broken: null };

/** One stream of frames for each lot: a line that has no number ends it. */
export class FrameWay implements Way {
  readonly #serving: ServingProcess;
  readonly #chance: Chance;
  #session: ClientHttp2Session | null = null;

  constructor(serving: ServingProcess, chance: Chance) {
    this.#serving = serving;
    this.#chance = chance;
  }

  async send({ known, key, size }: Lot): Promise<readonly Outcome[]> {
    // What is behind a line without a number is not read: such a line comes last.
    const lines = Array.from({ length: size }, (_, n) =>
      this.#line(known, `${key}-${n}`, n === size - 1),
    );
    const stream = this.#usable().request({
      ...{ ':method': 'POST', ':path': '/v1/frames', 'content-type': 'application/x-ndjson' },
    });
    stream.on('error', () => undefined);
    stream.end(lines.map((line) => `${line}\n`).join(''));
    await once(stream, 'response');
    const answers = (await text(stream)).split('\n').filter((line) => line !== '');
    const sent = lines.join('\n').slice(0, 4000);
    return answers.map((answer) => ({ ...judgeFrame(answer, lines), sent }));
  }

  [Symbol.dispose](): void {
    this.#session?.destroy();
  }

  #line(known: Known, key: string, isLast: boolean): string {
    const sample = this.#chance.pick(sampleFrames(known, key));
    if (isLast) return brokenJson(sample, this.#chance);
    const fields = fieldsOf(sample) ?? {};
    const isInside = this.#chance.below(2) === 0;
    const input = withOtherField(fields.input as Readonly<Record<string, unknown>>, this.#chance);
    return JSON.stringify(isInside ? { ...fields, input } : withOtherField(fields, this.#chance));
  }

  #usable(): ClientHttp2Session {
    const known = this.#session;
    if (known !== null && !known.closed && !known.destroyed) return known;
    const { port, certificates } = this.#serving;
    const tls = certificates.credentials('red-operator');
    this.#session = http2.connect(`https://localhost:${port}`, tls);
    this.#session.on('error', () => undefined);
    return this.#session;
  }
}

const READS: ReadonlySet<string> = new Set(
  ROUTES.filter(({ effect }) => effect === 'reads').map(({ operation }) => operation),
);

function judgeFrame(line: string, lines: readonly string[]): Omit<Outcome, 'sent'> {
  const fields = fieldsOf(line);
  const status = Number(fields?.status ?? 0);
  const about = `: ${line.slice(0, 300)}`;
  if (fields === null || status < 200) {
    return { status, effect: 'possible', broken: `an answer that is none${about}` };
  }
  if (status >= 400) {
    const body = JSON.stringify(fields.problem);
    return { ...judgeProblem({ status, contentType: 'application/problem+json', body }), status };
  }
  // A broken line may have the number of another one: only what is one's alone can be told by it.
  const asked = lines.map(fieldsOf).filter((one) => one?.id === fields.id);
  const operation = String(asked[0]?.operation);
  if (asked.length !== 1) return { status, effect: 'possible', broken: null };
  const effect = READS.has(operation) ? 'none' : 'possible';
  return { ...judgeOutput(operation, JSON.stringify(fields.output), effect), status };
}

/** Bytes of HTTP/2, as a reader: whatever they come to mean, nothing may change by them. */
export class BytesWay implements Way {
  readonly #serving: ServingProcess;
  readonly #chance: Chance;

  constructor(serving: ServingProcess, chance: Chance) {
    this.#serving = serving;
    this.#chance = chance;
  }

  async send({ known, key, size, isEnough }: Lot): Promise<readonly Outcome[]> {
    const { port, certificates } = this.#serving;
    const options = { port, ...certificates.credentials('red-reader') };
    return await Promise.all(
      Array.from({ length: size }, async () => {
        const sample = this.#chance.pick(sampleRequests(known, key));
        const bytes = brokenBytes(sampleBytes(sample), this.#chance);
        const raw = await RawHttp2.connect(options);
        const hangUp = (): void => raw.destroy();
        isEnough.addEventListener('abort', hangUp, { once: true });
        raw.write(bytes);
        // Others may have been quicker than this handshake.
        if (isEnough.aborted) hangUp();
        const isAnswer = ({ type, flags }: { type: number; flags: number }): boolean =>
          type === FRAME.goaway || (type === FRAME.ping && flags === FLAG.ack);
        const answer = await raw.until(isAnswer);
        raw.destroy();
        const status = answer === null ? 0 : 200;
        return { status, effect: 'none', broken: null, sent: bytes.toString('hex') } as const;
      }),
    );
  }

  [Symbol.dispose](): void {}
}
