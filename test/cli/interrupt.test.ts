import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { abortReason } from '../../src/cli/interrupt.ts';
import { GhostsnapError } from '../../src/core/errors.ts';

const START = fileURLToPath(new URL('./start-interrupt.ts', import.meta.url));

/** Sends `signal` each time the process has said something. */
function interruptEachTime(
  signal: NodeJS.Signals,
  argument: 'end' | 'stay',
): Promise<{ status: number | null; signal: NodeJS.Signals | null; said: string }> {
  const { promise, resolve } = Promise.withResolvers<{
    status: number | null;
    signal: NodeJS.Signals | null;
    said: string;
  }>();
  const child = spawn(process.execPath, [START, argument], { stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    child.kill(signal);
  });
  child.once('close', (status, endedBy) => resolve({ status, signal: endedBy, said }));
  return promise;
}

describe('catchInterrupt()', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'the first %s aborts, the second ends the process by the signal itself',
    async (signal) => {
      expect(await interruptEachTime(signal, 'stay')).toEqual({
        status: null,
        signal,
        said: 'ready\nINTERRUPTED\n',
      });
    },
  );
});

describe('abortReason()', () => {
  it('turns an AbortError into the reason of the signal, and nothing else', () => {
    const reason = new GhostsnapError('INTERRUPTED', 'It was interrupted.');
    const aborted = AbortSignal.abort(reason);
    const abort = new DOMException('This operation was aborted', 'AbortError');
    expect(abortReason(abort, aborted)).toBe(reason);
    expect(abortReason(abort, new AbortController().signal)).toBe(abort);
    const other = new Error('other');
    expect(abortReason(other, aborted)).toBe(other);
  });
});
