/**
 * HTTP/2 frame by frame over TLS: what no client library would send.
 *
 * Headers are written as literals without Huffman and without the table, which is valid HPACK and needs no
 * state. What comes back is cut into frames, and only counted and looked at from outside.
 */
import { once } from 'node:events';
import tls from 'node:tls';

export const FRAME = {
  ...{ data: 0, headers: 1, priority: 2, reset: 3, settings: 4, push: 5, ping: 6, goaway: 7 },
  ...{ windowUpdate: 8, continuation: 9 },
} as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const FRAME_HEAD_BYTES = 9;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function encodeFrame(frame: Partial<Frame> & Pick<Frame, 'type'>): Buffer {
  const { type, flags = 0, stream = 0, payload = Buffer.alloc(0) } = frame;
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header block of literals. */
export function encodeHeaders(headers: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    headers.flatMap(([name, value]) => [Buffer.of(0), encodeText(name), encodeText(value)]),
  );
}

export function encodeUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const SEVEN_BITS = 0x7f;

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length < SEVEN_BITS) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length = [SEVEN_BITS];
  let rest = bytes.length - SEVEN_BITS;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) + 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

export interface RawHttp2Options {
  readonly port: number;
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  /** Not spoken: a peer that does not greet. */
  readonly preface?: Buffer;
}

export class RawHttp2 {
  readonly socket: tls.TLSSocket;
  readonly received: Frame[] = [];
  /** Resolves when the other side has hung up, or this one has. */
  readonly closed: Promise<void>;
  #rest: Buffer = Buffer.alloc(0);
  #wake: (() => void) | null = null;

  private constructor(socket: tls.TLSSocket) {
    this.socket = socket;
    // A reset is one way of hanging up.
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve();
        this.#wake?.();
      });
    });
  }

  static async connect(options: RawHttp2Options): Promise<RawHttp2> {
    const { port, cert, key, ca, preface } = options;
    const socket = tls.connect({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      cert,
      key,
      ca,
      ALPNProtocols: ['h2'],
    });
    const raw = new RawHttp2(socket);
    await once(socket, 'secureConnect');
    raw.write(preface ?? Buffer.concat([PREFACE, encodeFrame({ type: FRAME.settings })]));
    return raw;
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  write(...parts: readonly Buffer[]): void {
    if (this.isOpen) this.socket.write(Buffer.concat(parts));
  }

  /** Writes and waits while the other side is behind; false: it has hung up. */
  async writeAll(bytes: Buffer): Promise<boolean> {
    if (!this.isOpen) return false;
    if (!this.socket.write(bytes)) {
      await Promise.race([once(this.socket, 'drain'), this.closed]);
    }
    return this.isOpen;
  }

  /** The first such frame that has come or comes; null: the connection ended without it. */
  async until(isIt: (frame: Frame) => boolean): Promise<Frame | null> {
    for (;;) {
      const found = this.received.find(isIt);
      if (found !== undefined || this.socket.destroyed) return found ?? null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  #receive(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= FRAME_HEAD_BYTES) {
      const length = bytes.readUIntBE(0, 3);
      const end = FRAME_HEAD_BYTES + length;
      if (bytes.length < end) break;
      this.received.push({
        ...{ type: bytes.readUInt8(3), flags: bytes.readUInt8(4) },
        stream: bytes.readUInt32BE(5),
        payload: Buffer.from(bytes.subarray(FRAME_HEAD_BYTES, end)),
      });
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    this.#wake?.();
  }
}
