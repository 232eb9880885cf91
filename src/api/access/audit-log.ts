/**
 * The audit log: who was refused what, and who turned a workspace back. JSON lines, appended, never
 * rewritten.
 *
 * A turn is written, and on disk, before it begins: one that could not be written is not begun. A refusal
 * is written when there is time, since whoever is refused must not be able to make the service wait; equal
 * ones in a short time are counted and written as one, so that a flood of them is two lines. What is kept
 * is bounded: a full file is set aside as `<file>.1`, and so on up to the last one. The catalog's events
 * say what happened to a workspace; this says who asked.
 */
import fs from 'node:fs/promises';
import path from 'node:path';
import { GhostsnapError } from '../../core/errors.ts';
import type { Principal } from '../principal.ts';

export interface AuditRefusal {
  readonly event: 'refused';
  /** null: nobody who is known here; `claims` is what the certificate said then. */
  readonly principal: Principal | null;
  readonly claims?: string;
  readonly operation: string;
  readonly reason: string;
  readonly workspace?: string;
  readonly remote?: string;
  readonly trace?: string;
}

export interface AuditTurn {
  readonly event: 'turn.asked' | 'turn.done' | 'turn.failed';
  readonly principal: Principal;
  /** rollback, restore, undo, redo, undoCall; policyRollback: what a policy demanded of an endCall */
  readonly operation: string;
  readonly workspace: string;
  readonly target?: string;
  /** The catalog's own id of it, where there is one: joins this log with the events. */
  readonly turn?: string;
  readonly code?: string;
  readonly trace?: string;
  /** Of the request in it. */
  readonly span?: string;
}

export interface AuditLogOptions {
  readonly file: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A refusal that could not be written: it is lost, and somebody should know. */
  readonly onLost: (error: unknown) => void;
  readonly bytesMax?: number;
}

/** A file of this size is set aside, and so many of them are kept: 128 MiB in all. */
const FILE_BYTES_MAX = 8_388_608;
const FILES_KEPT = 16;

/** Equal refusals within this time are one line with a count. */
const FOLD_MS = 10_000;
/** Different refusals that are told apart at one time; a flood of different ones is folded as one. */
const FOLDS_MAX = 256;

/** Lines that wait for a disk that hangs; what comes then is lost, and told. */
const WAITING_MAX = 4096;

interface Fold {
  readonly entry: AuditRefusal;
  readonly sinceMs: number;
  more: number;
}

export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #folds = new Map<string, Fold>();
  /** A crash or a full disk may have left the beginning of a line, which would take the next one with it. */
  #mayBeTorn = true;
  #last: Promise<void> = Promise.resolve();
  #waiting: string[] = [];

  constructor(options: AuditLogOptions) {
    this.#options = options;
  }

  /** Returns at once. */
  refused(entry: AuditRefusal): void {
    this.#writeEndedFolds(this.#options.now() - FOLD_MS);
    const named = JSON.stringify([entry.principal?.id, entry.operation, entry.reason]);
    const key = this.#folds.size < FOLDS_MAX || this.#folds.has(named) ? named : 'others';
    const fold = this.#folds.get(key);
    if (fold !== undefined) {
      fold.more += 1;
      return;
    }
    this.#folds.set(key, { entry, sinceMs: this.#options.now(), more: 0 });
    this.#later(this.#lineOf(entry, {}));
  }

  /**
   * On return it is on disk.
   * @throws GhostsnapError IO: what was to be done must not be done
   */
  async turn(entry: AuditTurn): Promise<void> {
    const line = this.#lineOf(entry, {});
    const written = this.#last.then(async () => await this.#append(line, 'synced'));
    this.#last = written.catch(() => {
      // Whoever waits for this line gets the error; the next line is tried for itself.
    });
    try {
      await written;
    } catch (error) {
      throw new GhostsnapError('IO', `The audit log ${this.#options.file} cannot be written.`, {
        hint: 'Nothing was done: make room for it, or mend its permissions.',
        data: { file: this.#options.file },
        cause: error,
      });
    }
  }

  /** Writes what is counted and waits until everything is on disk. */
  async close(): Promise<void> {
    this.#writeEndedFolds(Number.POSITIVE_INFINITY);
    this.#later('');
    await this.#last;
  }

  #writeEndedFolds(before: number): void {
    for (const [key, { entry, sinceMs, more }] of this.#folds) {
      // They are in the order of their time.
      if (sinceMs > before) return;
      this.#folds.delete(key);
      if (more > 0) {
        const since = new Date(sinceMs).toISOString();
        this.#later(this.#lineOf(entry, { repeated: more, since, others: key === 'others' }));
      }
    }
  }

  /** Lines that come while one write is under way go into the next one together. */
  #later(line: string): void {
    if (this.#waiting.length >= WAITING_MAX) {
      this.#options.onLost(new Error(`${WAITING_MAX} lines wait for the audit log.`));
      return;
    }
    this.#waiting.push(line);
    if (this.#waiting.length > 1) return;
    this.#last = this.#last
      .then(async () => {
        const text = this.#waiting.join('');
        this.#waiting = [];
        await this.#append(text, 'unsynced');
      })
      .catch(this.#options.onLost);
  }

  async #append(text: string, how: 'synced' | 'unsynced'): Promise<void> {
    const { file, bytesMax = FILE_BYTES_MAX } = this.#options;
    if (text === '') return;
    await fs.mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    let handle = await fs.open(file, 'a+', 0o600);
    try {
      if ((await handle.stat()).size >= bytesMax) {
        await handle.close();
        await setAside(file);
        handle = await fs.open(file, 'a+', 0o600);
      }
      const start = this.#mayBeTorn && (await endsInside(handle)) ? '\n' : '';
      this.#mayBeTorn = true;
      await handle.appendFile(`${start}${text}`);
      this.#mayBeTorn = false;
      if (how === 'synced') await handle.datasync();
    } finally {
      await handle.close();
    }
  }

  #lineOf(entry: AuditRefusal | AuditTurn, more: Readonly<Record<string, unknown>>): string {
    const { event, principal, ...rest } = entry;
    const at = new Date(this.#options.now()).toISOString();
    const who = { who: principal?.id ?? null, tenant: principal?.tenant, role: principal?.role };
    return `${JSON.stringify({ at, event, ...who, ...rest, ...more })}\n`;
  }
}

/** Whether the last line has no end. */
async function endsInside(handle: fs.FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, size - 1);
  return last[0] !== NEWLINE;
}

const NEWLINE = 0x0a;

/** `<file>.15` becomes `.16`, ..., `<file>` becomes `.1`; what was the last is gone. */
async function setAside(file: string): Promise<void> {
  for (let n = FILES_KEPT - 1; n >= 0; n -= 1) {
    const from = n === 0 ? file : `${file}.${n}`;
    await fs.rename(from, `${file}.${n + 1}`).catch((error: NodeJS.ErrnoException) => {
      // There are fewer of them yet.
      if (error.code !== 'ENOENT') throw error;
    });
  }
}
