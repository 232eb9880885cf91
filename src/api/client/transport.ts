/** How one request travels once: what the client asks of a connection, and what it is told. */

export interface WireRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON, or null without a body. */
  readonly body: string | null;
}

export interface WireReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

/**
 * A request that got no answer. `never`: the service has not begun it, so that sending it again does
 * nothing twice, whatever it is. `perhaps`: nobody knows.
 */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  readonly begun: 'never' | 'perhaps';
  /** The connection was told to go, and another one is to be had: nothing is wrong with the service. */
  readonly isMovedOn: boolean;

  constructor(
    message: string,
    about: {
      readonly begun: 'never' | 'perhaps';
      readonly isMovedOn?: true;
      readonly cause?: unknown;
    },
  ) {
    super(message, { cause: about.cause });
    this.begun = about.begun;
    this.isMovedOn = about.isMovedOn ?? false;
  }
}

export interface Transport {
  /** @throws NoAnswer; what `signal` was aborted with */
  send(request: WireRequest, signal: AbortSignal): Promise<WireReply>;
  /** The bytes of an answer without an end. @throws as `send`, also in the midst of it */
  stream(request: WireRequest, signal: AbortSignal): Promise<WireStream>;
  close(): Promise<void>;
}

export interface WireStream {
  readonly status: number;
  readonly headers: WireReply['headers'];
  readonly chunks: AsyncIterable<Buffer>;
}
