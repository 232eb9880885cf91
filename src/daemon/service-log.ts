/** The service's log: JSON lines, for journald or a file; nothing of a request's input is in it. */
import { GhostsnapError } from '../core/errors.ts';

export class ServiceLog {
  readonly #write: (line: string) => void;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  write(
    level: 'info' | 'warn' | 'error',
    message: string,
    fields: Readonly<Record<string, unknown>> = {},
  ): void {
    const time = new Date().toISOString();
    this.#write(`${JSON.stringify({ time, level, message, ...fields })}\n`);
  }

  error(message: string, error: unknown, fields: Readonly<Record<string, unknown>> = {}): void {
    const known = error instanceof GhostsnapError ? error.toJSON() : { defect: stackOf(error) };
    this.write('error', message, { ...fields, ...{ error: known } });
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
