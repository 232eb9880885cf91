/**
 * Where the service's log goes, so that whoever reads it cannot hold the service up.
 *
 * Invariants: `write` never waits and never throws. A line is handed to the kernel at once where it takes
 * it, so that a crash loses none that had room. What it does not take waits here, up to a bound; what comes
 * then is dropped and counted, and told in a line of its own once there is room. Lines stay whole and in order.
 *
 * A pipe and a terminal are opened anew through /proc, since "does not wait" is a property of an open
 * description, which we share with whoever started us. What cannot be (a socket, a pipe of somebody else's) is
 * switched itself. Of a pipe or a socket the event loop says when it takes more; of a terminal it cannot.
 *
 * No library does this: sonic-boom, which pino writes through, stops the thread while a full pipe takes nothing
 * when it writes at once, and asks it anew each 100 ms, from a thread of the pool that a pipe which waits keeps,
 * when it does not; then the last lines of a crash are lost, and its flush at the end stops the thread again.
 */
import fs from 'node:fs';
import net from 'node:net';
import tty from 'node:tty';
import { closeFd, dupFd } from '../backend/syscalls-linux.ts';

/** Some thousand lines: a reader that is only slow loses none. */
const HELD_BYTES_MAX = 1_048_576;
/** Between two looks at whether a terminal takes more; only while it does not. */
const LOOK_MS = 100;
/** What a stop waits for a reader to take the last lines. */
const LAST_MS = 1000;

const STDERR = 2;

export class LogWriter {
  readonly #fd: number;
  /** Keeps the descriptor from being closed; nothing is ever read of or written to it here. */
  readonly #switched: net.Socket | null;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #dropped = 0;
  /** Calls back when the first that is held was taken, or may be tried again; null: nothing is held. */
  #waiting: (() => void) | null = null;
  #onEmpty: (() => void) | null = null;

  private constructor(fd: number, switched: net.Socket | null) {
    this.#fd = fd;
    this.#switched = switched;
  }

  static toStandardError(): LogWriter {
    const stat = fs.fstatSync(STDERR);
    const isTerminal = tty.isatty(STDERR);
    // A file takes what comes: there is no reader that could have stopped for good.
    if (!stat.isFIFO() && !stat.isSocket() && !isTerminal) return new LogWriter(STDERR, null);
    try {
      const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = fs.constants;
      const fd = fs.openSync(`/proc/self/fd/${STDERR}`, O_WRONLY | O_NONBLOCK | O_NOCTTY);
      return new LogWriter(fd, null);
    } catch {
      // Another user's terminal: who stops it stops the service, as with any program started there.
      if (isTerminal) return new LogWriter(STDERR, null);
      // Of a socket there is no second description, and some pipes are not ours to open.
      const switched = new net.Socket({ fd: STDERR, readable: false, writable: true });
      switched.unref();
      switched.on('error', () => undefined);
      return new LogWriter(STDERR, switched);
    }
  }

  /** @param line with its end */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#dropped > 0 || this.#heldBytes + bytes.length > HELD_BYTES_MAX) {
      this.#dropped += 1;
      return;
    }
    this.#hold(bytes);
    this.#writeHeld();
  }

  /** Gives a reader that is slow the time to take the last lines; one that hangs keeps nobody. */
  async close(): Promise<void> {
    if (this.#held.length > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onEmpty = resolve;
      const timer = setTimeout(resolve, LAST_MS);
      await promise;
      clearTimeout(timer);
    }
    this.#waiting?.();
    this.#waiting = null;
    this.#switched?.removeAllListeners();
  }

  #hold(bytes: Buffer): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #writeHeld(): void {
    if (this.#waiting !== null) return;
    for (;;) {
      const first = this.#held[0];
      if (first === undefined) {
        if (this.#dropped === 0) {
          this.#onEmpty?.();
          return;
        }
        this.#hold(Buffer.from(lineOfDropped(this.#dropped)));
        this.#dropped = 0;
        continue;
      }
      const taken = this.#give(first);
      this.#heldBytes -= taken;
      if (taken < first.length) {
        const left = first.subarray(taken);
        this.#held[0] = left;
        this.#await(left);
        return;
      }
      this.#held.shift();
    }
  }

  /** @returns bytes that are dealt with */
  #give(bytes: Buffer): number {
    try {
      return fs.writeSync(this.#fd, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
      // Nobody is there to read it, and nobody will be told: what it says is in metrics and events as well.
      return bytes.length;
    }
  }

  /** The event loop writes it when there is room; only then comes what is behind it. */
  #await(left: Buffer): void {
    const socket = this.#socket();
    if (socket === null) {
      const timer = setTimeout(() => this.#goOn(null), LOOK_MS);
      timer.unref();
      this.#waiting = () => clearTimeout(timer);
      return;
    }
    this.#waiting = () => socket.destroy();
    // Told by the callback of the write as well.
    socket.on('error', () => undefined);
    socket.write(left, () => {
      if (this.#waiting === null) return;
      socket.destroy();
      this.#goOn(left);
    });
    socket.unref();
  }

  /** @param taken by the reader, or by nobody because there is none any more */
  #goOn(taken: Buffer | null): void {
    this.#waiting = null;
    if (taken !== null) {
      this.#held.shift();
      this.#heldBytes -= taken.length;
    }
    this.#writeHeld();
  }

  /** For one wait, with a descriptor of its own that it may close. null: of a terminal there are no events. */
  #socket(): net.Socket | null {
    const fd = dupFd(this.#fd);
    try {
      return new net.Socket({ fd, readable: false, writable: true });
    } catch {
      closeFd(fd);
      return null;
    }
  }
}

function lineOfDropped(count: number): string {
  const [time, level, message] = [
    new Date().toISOString(),
    'warn',
    'lines of the log were dropped',
  ];
  return `${JSON.stringify({ time, level, message, count })}\n`;
}
