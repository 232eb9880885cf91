/** The real clock, the real randomness: the engine's ports on this machine. */
import { randomFillSync } from 'node:crypto';
import { ULID_RANDOM_BYTES } from '../core/ids.ts';
import type { Clock, Entropy } from '../engine/ports.ts';
import type { Environment } from './home.ts';
import { homeDirectoryOf } from './home-directory.ts';

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** Random bytes are drawn in blocks: one call to the source serves a hundred ids. */
const BLOCK_IDS = 128;
const block = new Uint8Array(BLOCK_IDS * ULID_RANDOM_BYTES);
let used = BLOCK_IDS;

export const systemEntropy: Entropy = {
  ulidRandom(): Uint8Array {
    if (used === BLOCK_IDS) {
      randomFillSync(block);
      used = 0;
    }
    const from = used * ULID_RANDOM_BYTES;
    used += 1;
    return block.subarray(from, from + ULID_RANDOM_BYTES);
  },
};

/** This process's environment; the only place that reads it. */
export function systemEnvironment(): Environment {
  return {
    env: process.env,
    cwd: process.cwd(),
    homeDir: homeDirectoryOf(process.env),
    uid: process.getuid?.() ?? 0,
    isTty: process.stderr.isTTY === true,
  };
}
