/** The daemon's log: lines of JSON that lead to the trace they belong to. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GhostsnapError } from '../../src/core/errors.ts';
import { newTrace } from '../../src/core/trace-context.ts';
import { DaemonLog } from '../../src/daemon/daemon-log.ts';

test('a failure is logged with its code and the ids of its trace', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ghostsnap-log-'));
  try {
    const file = join(directory, 'daemon.log');
    const log = new DaemonLog(file);
    const trace = newTrace([1, 2, 3, 4, 5, 6], { sampled: 'yes' });
    log.error(new GhostsnapError('POOL_FULL', 'Full.'), trace);
    log.error(new GhostsnapError('IO', 'Broken.'));
    const lines = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      {
        ...{ time: expect.any(String), level: 'error', message: 'Full.', code: 'POOL_FULL' },
        ...{ trace_id: trace.traceId, span_id: trace.spanId },
      },
      { time: expect.any(String), level: 'error', message: 'Broken.', code: 'IO' },
    ]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
