import { createInterface } from 'node:readline';
import { type Duplex, duplexPair } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AnswerBudget } from '../../../src/api/door/answer-budget.ts';
import type { Frame, FrameRefusal } from '../../../src/api/frames/parse-frame.ts';
import { type FrameAnswer, serveFrames } from '../../../src/api/frames/serve-frames.ts';
import { FRAME_BYTES_MAX, FRAMES_IN_FLIGHT_MAX } from '../../../src/core/limits.ts';

interface Question {
  readonly frame: Frame;
  answer(answer: FrameAnswer): void;
}

let client: Duplex;
let server: Duplex;
let served: Promise<void>;
let stopping: AbortController;
/** Taken and not answered, in order. */
let open: Question[];
let answers: AsyncIterator<string>;
let budget: AnswerBudget;
let nowMs = 0;

beforeEach(() => {
  const [near, far] = duplexPair();
  client = near;
  server = far;
  open = [];
  budget = new AnswerBudget(() => nowMs);
  stopping = new AbortController();
  served = serveFrames(far, {
    answer: (frame) =>
      new Promise((resolve) => {
        open.push({ frame, answer: resolve });
      }),
    refuse: ({ error }: FrameRefusal) => ({ status: 400, problem: { detail: error.message } }),
    hold: (bytes, cut) => budget.hold('blue', bytes, cut),
    noRoomFor: (bytes) => {
      try {
        budget.assertRoom('blue', bytes);
        return null;
      } catch (error) {
        return { status: 429, problem: { detail: String(error) } };
      }
    },
    stopping: stopping.signal,
  });
  answers = createInterface({ input: client })[Symbol.asyncIterator]();
});

afterEach(() => {
  client.destroy();
});

async function nextAnswer(): Promise<unknown> {
  const { value, done } = await answers.next();
  return done === true ? 'the end' : JSON.parse(value);
}

/** Until the other end has taken what was written: a few turns of the loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await setImmediate();
}

function line(id: number, more: object = {}): string {
  return `${JSON.stringify({ id, operation: 'beginCall', input: {}, ...more })}\n`;
}

describe('answers that nobody takes', () => {
  const large = (id: number): void =>
    open[id]?.answer({ status: 200, output: 'x'.repeat(6_000_000) });

  it('are held up to the share of the tenant; a large one beyond it is a refusal', async () => {
    client.pause();
    client.write([1, 2, 3, 4].map((id) => line(id)).join(''));
    await settled();
    for (const id of [0, 1, 2, 3]) {
      large(id);
      await settled();
    }
    expect(budget.bytes).toBeLessThan(16_777_216);
    client.resume();
    const statuses = [];
    for (let n = 0; n < 4; n += 1) {
      statuses.push(((await nextAnswer()) as { status: number }).status);
    }
    expect(statuses).toEqual([200, 200, 429, 429]);
    await settled();
    expect(budget.bytes).toBe(0);
  });

  it('end their stream when they wait too long, and are let go', async () => {
    client.pause();
    client.write(line(1));
    await settled();
    large(0);
    await settled();
    expect(budget.bytes).toBeGreaterThan(6_000_000);
    nowMs += 60_001;
    budget.sweep();
    await served;
    expect(budget.bytes).toBe(0);
  });
});

describe('serveFrames()', () => {
  it('answers each under its number, in the order in which the answers are ready', async () => {
    client.write(line(1, { key: 'k', deadlineMs: 50, trace: 'tp', input: { a: [1] } }) + line(2));
    await settled();
    expect(open[0]?.frame).toEqual({
      ...{ id: 1, operation: 'beginCall', key: 'k', deadlineMs: 50, trace: 'tp' },
      input: { a: [1] },
    });
    open[1]?.answer({ status: 200, output: 'second' });
    expect(await nextAnswer()).toEqual({ id: 2, status: 200, output: 'second' });
    open[0]?.answer({ status: 409, problem: { code: 'X' } });
    expect(await nextAnswer()).toEqual({ id: 1, status: 409, problem: { code: 'X' } });
  });

  it('takes frames however the bytes are cut', async () => {
    const bytes = Buffer.from(line(1, { input: { text: 'ü€𝄞' } }) + line(2));
    for (const byte of bytes) client.write(Buffer.from([byte]));
    await settled();
    expect(open.map(({ frame }) => frame.input)).toEqual([{ text: 'ü€𝄞' }, {}]);
  });

  it('refuses a frame with a number and goes on', async () => {
    client.write(line(1, { surprise: true }) + line(2));
    await settled();
    expect(await nextAnswer()).toMatchObject({ id: 1, status: 400 });
    expect(open).toHaveLength(1);
  });

  it.each([
    ['no JSON', 'hello\n'],
    ['a key twice', '{"id":1,"id":2,"operation":"x"}\n'],
    ['no number', '{"operation":"x"}\n'],
    ['too deep', `{"id":1,"operation":"x","input":${'['.repeat(40)}${']'.repeat(40)}}\n`],
    ['too long', `{"id":1,"operation":"${'x'.repeat(FRAME_BYTES_MAX)}"}\n`],
    ['without an end', 'x'.repeat(FRAME_BYTES_MAX + 1)],
  ])('ends the stream at a line that is no frame: %s', async (_why, text) => {
    client.write(line(7));
    client.write(text);
    client.write(line(8));
    await settled();
    expect(await nextAnswer()).toMatchObject({ id: null, status: 400 });
    // What was taken before is answered.
    open[0]?.answer({ status: 200, output: null });
    expect(await nextAnswer()).toEqual({ id: 7, status: 200, output: null });
    expect(await nextAnswer()).toBe('the end');
    expect(open).toHaveLength(1);
  });

  it('takes no more than so many at once', async () => {
    let written = 0;
    const write = (): void => {
      written += 1;
      client.write(line(written, { input: { filler: 'x'.repeat(1000) } }));
    };
    while (written < 4 * FRAMES_IN_FLIGHT_MAX) write();
    await settled();
    const taken = open.length;
    // A chunk that was read is taken whole; a stream's buffer holds 64 KiB.
    expect(taken).toBeGreaterThanOrEqual(FRAMES_IN_FLIGHT_MAX);
    expect(taken).toBeLessThan(FRAMES_IN_FLIGHT_MAX + 130);
    for (const question of open.splice(0)) question.answer({ status: 200, output: null });
    for (let id = 0; id < taken; id += 1) await nextAnswer();
    await settled();
    expect(open.length).toBeGreaterThan(0);
  });

  it('answers what it has taken, then ends, when it is to stop or the peer has ended', async () => {
    client.write(line(1));
    await settled();
    stopping.abort();
    client.write(line(2));
    await settled();
    open[0]?.answer({ status: 200, output: null });
    expect(await nextAnswer()).toEqual({ id: 1, status: 200, output: null });
    expect(await nextAnswer()).toBe('the end');
    expect(open).toHaveLength(1);
    client.end();
    await served;
  });

  it('returns when the peer goes away', async () => {
    client.write(line(1));
    await settled();
    server.destroy();
    await served;
    open[0]?.answer({ status: 200, output: null });
    await settled();
  });
});
