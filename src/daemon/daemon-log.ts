/**
 * The daemon's log: JSON lines in a file that is bounded, the one before kept as `<file>.1`.
 *
 * Nothing of a payload is written here, and nothing ever goes to an agent's terminal. A log that cannot
 * be written stops nothing.
 */
import fs from 'node:fs';
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';
import { logIds, type TraceContext } from '../core/trace-context.ts';

const LOG_BYTES_MAX = 1_048_576;

export type LogLevel = 'info' | 'warn' | 'error';

export class DaemonLog {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  write(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const line = JSON.stringify({ time: new Date().toISOString(), level, message, ...fields });
    try {
      fs.mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 });
      const size = fs.statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0;
      if (size > LOG_BYTES_MAX) fs.renameSync(this.#file, `${this.#file}.1`);
      fs.appendFileSync(this.#file, `${line}\n`, { mode: 0o600 });
    } catch {
      // A full disk: what matters is in the catalog, and snapshots fail with a reason of their own.
    }
  }

  /** With the ids of the span that it happened in. */
  error(error: unknown, trace?: TraceContext): void {
    const ids = logIds(trace);
    if (error instanceof GhostsnapError) {
      this.write('error', error.message, { code: error.code, ...ids });
      return;
    }
    this.write('error', String(error instanceof Error ? (error.stack ?? error) : error), ids);
  }
}
