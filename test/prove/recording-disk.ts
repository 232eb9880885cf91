/**
 * A disk whose writes and flushes are recorded in the order they came, and the disks that a power loss
 * could have left of it.
 *
 * The recording is a program of its own (c/recording-disk.c): a file served through FUSE, under a loop
 * device. A `PowerLoss` builds what is left at a position of the log: everything up to the last flush
 * before it, and of what was written since any part, in any order. Blocks of 4 KiB are written whole or
 * not at all, as disks do; a longer write may be torn between them. Needs root.
 */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  rmdirSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { SimRandom } from '../sim/sim-random.ts';

const BLOCK_BYTES = 4096;
const HEAD_BYTES = 24;
const KINDS = { write: 1n, discard: 2n, flush: 3n } as const;

/** @returns the compiled program's path */
export function compileRecordingDisk(directory: string): string {
  const program = join(directory, 'recording-disk');
  const source = join(import.meta.dirname, 'c', 'recording-disk.c');
  if (!existsSync(program)) execFileSync('gcc', ['-O2', '-o', program, source]);
  return program;
}

export class RecordingDisk implements AsyncDisposable {
  /** '/dev/loopN'. */
  readonly device: string;
  readonly logPath: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #mountPath: string;

  private constructor(parts: {
    child: ChildProcessByStdio<Writable, Readable, null>;
    mountPath: string;
    logPath: string;
  }) {
    this.#child = parts.child;
    this.#mountPath = parts.mountPath;
    this.logPath = parts.logPath;
    const disk = join(parts.mountPath, 'disk');
    this.device = execFileSync('losetup', ['--find', '--show', disk], { encoding: 'utf8' }).trim();
  }

  /** @param directory an existing one, for the recording's own files */
  static async start(directory: string, sizeBytes: number): Promise<RecordingDisk> {
    const program = compileRecordingDisk(directory);
    const mountPath = join(directory, 'recorded');
    const backing = join(directory, 'backing');
    const logPath = join(directory, 'log');
    mkdirSync(mountPath, { recursive: true });
    writeFileSync(backing, '');
    truncateSync(backing, sizeBytes);
    const child = spawn(program, [mountPath, backing, logPath], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    return new RecordingDisk({ child, mountPath, logPath });
  }

  /** Where the log ends: whatever was answered to its writer lies before it. */
  position(): number {
    return statSync(this.logPath).size;
  }

  /** From now on nothing is read, written or flushed. @returns once something waits for it */
  async hold(): Promise<void> {
    const waits = once(this.#child.stdout, 'data');
    this.#child.stdin.write('h');
    await waits;
  }

  /** One read, write or flush of a disk that is held. */
  letOneThrough(): void {
    this.#child.stdin.write('1');
  }

  letGo(): void {
    this.#child.stdin.write('g');
  }

  /** The disk must not be in use. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.letGo();
    try {
      execFileSync('losetup', ['-d', this.device]);
      execFileSync('umount', [this.#mountPath]);
    } catch (error) {
      // Still in use after a failure: without the disk's end the run would never end.
      this.#child.kill('SIGKILL');
      throw error;
    }
    await ended;
    rmdirSync(this.#mountPath);
  }
}

interface LogRecord {
  readonly kind: keyof typeof KINDS;
  readonly offset: number;
  readonly length: number;
  /** Of the record's data, in the log. */
  readonly dataAt: number;
  /** Of the record's end, in the log. */
  readonly endAt: number;
}

/** What reaches the disk of the writes that no flush followed. */
export type Survivors = 'none' | 'all' | 'some' | 'some-blocks';

export const SURVIVORS: readonly Survivors[] = ['none', 'all', 'some', 'some-blocks'];

export interface PowerLossOptions {
  readonly logPath: string;
  readonly sizeBytes: number;
  /** An existing directory for images. */
  readonly directory: string;
  readonly random: SimRandom;
}

export class PowerLoss implements Disposable {
  readonly records: readonly LogRecord[];
  readonly #options: PowerLossOptions;
  readonly #logFd: number;
  /** The disk with everything up to record `#flushed`, a flush. */
  readonly #durable: string;
  #flushed = 0;

  constructor(options: PowerLossOptions) {
    this.#options = options;
    this.#logFd = openSync(options.logPath, 'r');
    this.records = readRecords(this.#logFd);
    this.#durable = join(options.directory, 'durable');
    writeFileSync(this.#durable, '');
    truncateSync(this.#durable, options.sizeBytes);
  }

  /** Builds the disk with the first `count` records begun. `count` never falls from call to call. */
  image(count: number, survivors: Survivors): string {
    const lastFlush = this.records.slice(0, count).findLastIndex(({ kind }) => kind === 'flush');
    if (lastFlush + 1 > this.#flushed) {
      this.#apply(this.#durable, this.records.slice(this.#flushed, lastFlush + 1), 'all');
      this.#flushed = lastFlush + 1;
    }
    const image = join(this.#options.directory, 'left');
    execFileSync('cp', ['--sparse=always', this.#durable, image]);
    this.#apply(image, this.records.slice(this.#flushed, count), survivors);
    return image;
  }

  [Symbol.dispose](): void {
    closeSync(this.#logFd);
  }

  #apply(image: string, records: readonly LogRecord[], survivors: Survivors): void {
    if (survivors === 'none') return;
    const { random } = this.#options;
    const pieces = records.filter(({ kind }) => kind !== 'flush');
    // Without a flush between them a disk may take two writes in either order.
    if (survivors !== 'all') shuffle(pieces, random);
    const fd = openSync(image, 'r+');
    try {
      for (const record of pieces) {
        if (survivors === 'some' && random.oneIn(2)) continue;
        this.#write(fd, record, survivors);
      }
    } finally {
      closeSync(fd);
    }
  }

  #write(fd: number, record: LogRecord, survivors: Survivors): void {
    const stepBytes = survivors === 'some-blocks' ? BLOCK_BYTES : record.length;
    for (let at = 0; at < record.length; ) {
      // A write that begins within a block ends its first piece at the block's end.
      const toEdge = stepBytes - ((record.offset + at) % stepBytes || 0);
      const bytes = Math.min(survivors === 'some-blocks' ? toEdge : stepBytes, record.length - at);
      if (survivors !== 'some-blocks' || !this.#options.random.oneIn(2)) {
        this.#copy(fd, record, at, bytes);
      }
      at += bytes;
    }
  }

  #copy(fd: number, record: LogRecord, at: number, bytes: number): void {
    const data = Buffer.alloc(bytes);
    if (record.kind === 'write') readSync(this.#logFd, data, 0, bytes, record.dataAt + at);
    writeSync(fd, data, 0, bytes, record.offset + at);
  }
}

function readRecords(fd: number): LogRecord[] {
  const records: LogRecord[] = [];
  const head = Buffer.alloc(HEAD_BYTES);
  for (let at = 0; readSync(fd, head, 0, HEAD_BYTES, at) === HEAD_BYTES; ) {
    const code = head.readBigUInt64LE(0);
    const kind = code === KINDS.write ? 'write' : code === KINDS.discard ? 'discard' : 'flush';
    const [offset, length] = [Number(head.readBigUInt64LE(8)), Number(head.readBigUInt64LE(16))];
    const dataAt = at + HEAD_BYTES;
    at = dataAt + (kind === 'write' ? length : 0);
    records.push({ kind, offset, length, dataAt, endAt: at });
  }
  return records;
}

function shuffle<T>(items: T[], random: SimRandom): void {
  for (let i = items.length - 1; i > 0; i -= 1) {
    const j = random.below(i + 1);
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
}
