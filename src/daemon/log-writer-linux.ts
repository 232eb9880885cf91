/**
 * Where the service's log goes, so that whoever reads it cannot hold the service up.
 *
 * Invariants: `write` never waits and never throws. A line is handed to the kernel at once where it takes
 * it, so that a crash loses none that had room. What it does not take waits here, up to a bound; what comes
 * then is dropped and counted, and told in a line of its own once there is room. Lines stay whole and in order.
 *
 * A pipe is opened anew through /proc, since "does not wait" is a property of an open description, which we
 * share with whoever started us. What cannot be (a socket, a pipe of somebody else's) is switched itself.
 */
import fs from 'node:fs';
import net from 'node:net';

/** Some thousand lines: a reader that is only slow loses none. */
const HELD_BYTES_MAX = 1_048_576;
/** Between two looks at whether the kernel takes more; only while it does not. */
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
  #timer: NodeJS.Timeout | null = null;

  private constructor(fd: number, switched: net.Socket | null) {
    this.#fd = fd;
    this.#switched = switched;
  }

  static toStandardError(): LogWriter {
    const stat = fs.fstatSync(STDERR);
    // A file and a terminal take what comes: there is no reader that could have stopped for good.
    if (!stat.isFIFO() && !stat.isSocket()) return new LogWriter(STDERR, null);
    try {
      const { O_WRONLY, O_NONBLOCK } = fs.constants;
      const fd = fs.openSync(`/proc/self/fd/${STDERR}`, O_WRONLY | O_NONBLOCK);
      return new LogWriter(fd, null);
    } catch {
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
    const until = performance.now() + LAST_MS;
    while (this.#held.length > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      this.#writeHeld();
    }
    clearTimeout(this.#timer ?? undefined);
    this.#switched?.removeAllListeners();
  }

  #hold(bytes: Buffer): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  #writeHeld(): void {
    for (;;) {
      const first = this.#held[0];
      if (first === undefined) {
        if (this.#dropped === 0) return;
        this.#hold(Buffer.from(lineOfDropped(this.#dropped)));
        this.#dropped = 0;
        continue;
      }
      const taken = this.#give(first);
      this.#heldBytes -= taken;
      if (taken < first.length) {
        this.#held[0] = first.subarray(taken);
        this.#lookAgain();
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

  #lookAgain(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#writeHeld();
    }, LOOK_MS);
    this.#timer.unref();
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
