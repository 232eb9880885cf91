/** A sidecar that fails at its first start, in the way its setup names, and is the real one at its second. */
import { workerData } from 'node:worker_threads';
import { CONTROL_BYTES, HEARTBEAT, type SidecarSetup } from '../../src/telemetry/sidecar-setup.ts';

const setup = workerData as SidecarSetup;
/** Behind the heartbeat: how often it was started. */
const STARTS = 1;
const control = new Int32Array(setup.control, 0, CONTROL_BYTES / 4);

if (Atomics.add(control, STARTS, 1) === 0) fail(setup.resource.fault ?? '');
else await import('../../src/telemetry/sidecar-worker.ts');

function fail(fault: string): void {
  // It looked alive for a moment; one that is to run out of memory may take its time instead.
  if (fault !== 'eats memory') Atomics.add(control, HEARTBEAT, 1);
  switch (fault) {
    case 'throws':
      throw new Error('on purpose');
    case 'rejects':
      void Promise.reject(new Error('on purpose'));
      return;
    case 'exits':
      process.exit(3);
      return;
    case 'hangs':
      setTimeout(() => {
        for (;;) Atomics.load(control, STARTS);
      }, 50);
      return;
    case 'eats memory': {
      const eaten: unknown[] = [];
      for (;;) eaten.push(new Array(10_000).fill(0).map((_, index) => ({ index })));
    }
  }
}
