import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createOutput } from '../../src/cli/output.ts';
import { type ProgressBar, progressBar } from '../../src/cli/progress-bar.ts';

/** A terminal of 80 columns that remembers, and a clock that a test moves. */
function stageFor(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 80 });
  let shown = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  const output = createOutput({ stdout: stream, stderr: stream, env: {} });
  const clock = { ms: 0 };
  const open = (): ProgressBar =>
    progressBar(output, 'Restoring', { stream, nowMs: () => clock.ms });
  return { open, clock, stream, shown: () => shown };
}

describe('progressBar()', () => {
  it('appears after a second, with the total', async () => {
    const { open, clock, stream, shown } = stageFor(true);
    using bar = open();
    clock.ms = 999;
    bar.onProgress(1, 400);
    await import('cli-progress');
    expect(shown()).toBe('');
    clock.ms = 1000;
    bar.onProgress(100, 400);
    for await (const text of stream) if (String(text).includes('100/400')) break;
    expect(shown()).toContain('Restoring');
    expect(shown()).toContain('25%');
  });

  it('shows a count where no total is known', async () => {
    const { open, clock, stream, shown } = stageFor(true);
    using bar = open();
    clock.ms = 1000;
    bar.onProgress(7, null);
    for await (const text of stream) if (String(text).includes('7 entries')) break;
    expect(shown()).not.toContain('%');
  });

  it('draws nothing off a terminal', async () => {
    const { open, clock, stream, shown } = stageFor(false);
    using bar = open();
    clock.ms = 5000;
    bar.onProgress(1, 2);
    await import('cli-progress');
    stream.end();
    expect(shown()).toBe('');
  });

  it('is not drawn any more once its work has ended', async () => {
    const { open, clock, shown } = stageFor(true);
    const bar = open();
    clock.ms = 1000;
    bar.onProgress(1, 2);
    bar[Symbol.dispose]();
    await import('cli-progress');
    await Promise.resolve();
    expect(shown()).toBe('');
  });
});
