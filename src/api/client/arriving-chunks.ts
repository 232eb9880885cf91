/**
 * The chunks of an answer, heard from the moment of the request.
 *
 * Node may close an HTTP/2 stream between its head and the first look at its body when much arrives at
 * once: who begins to read only then finds a stream that has ended early. So everything is listened to from
 * the start; what nobody has taken yet is bounded by pausing the stream.
 */
import type { ClientHttp2Stream } from 'node:http2';

/** Bytes that wait to be taken before the stream is paused. */
const WAITING_BYTES_MAX = 1_048_576;

export class ArrivingChunks {
  readonly #stream: ClientHttp2Stream;
  readonly #waiting: Buffer[] = [];
  #bytes = 0;
  #state: 'open' | 'whole' | 'cut short' = 'open';
  #error: Error | null = null;
  #wake: () => void = () => undefined;

  /** @param stream that was asked for in this turn of the loop */
  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      this.#waiting.push(chunk);
      this.#bytes += chunk.length;
      if (this.#bytes > WAITING_BYTES_MAX) stream.pause();
      this.#wake();
    });
    stream.on('error', (error: Error) => {
      this.#error = error;
    });
    let isAtEnd = false;
    stream.once('end', () => {
      isAtEnd = true;
    });
    // Node ends a stream that is reset, too, before it says so: only the close knows what became of it.
    stream.once('close', () => {
      const isWhole = isAtEnd && this.#error === null && stream.rstCode === 0;
      this.#state = isWhole ? 'whole' : 'cut short';
      this.#wake();
    });
  }

  /** @throws the stream's error, or one that says that it ended early */
  async *read(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = this.#waiting.shift();
      if (chunk !== undefined) {
        this.#bytes -= chunk.length;
        if (this.#stream.isPaused()) this.#stream.resume();
        yield chunk;
      } else if (this.#state === 'whole') {
        return;
      } else if (this.#state === 'cut short') {
        const { rstCode } = this.#stream;
        throw this.#error ?? new Error(`The stream ended early (reset ${rstCode}).`);
      } else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    }
  }
}
