/**
 * What hooks did, a small file a harness: for `hook status`, and for a person who wonders.
 *
 * Statistics, not the truth: the catalog has the calls. So it is written seldom, without a sync, and a
 * file that cannot be read or written counts as empty; a tool call never fails because of it.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { HookNote } from '../agent/handle-hook.ts';
import type { HarnessName } from '../agent/harness/harness.ts';
import type { Home } from './home.ts';

export interface HookCounts extends Readonly<Record<HookNote, number>> {
  readonly lastSeenMs: number;
}

const NONE: HookCounts = {
  ...{ lastSeenMs: 0, seen: 0, protected: 0, outside: 0, unprotected: 0, blocked: 0 },
  'read-only': 0,
};

/** Between two writes while calls go on. */
const WRITE_EVERY_MS = 2000;

export class HookNotes {
  readonly #home: Home;
  readonly #counts = new Map<HarnessName, Record<string, number>>();
  #writtenMs = 0;
  #isDirty = false;
  #isDue = false;

  constructor(home: Home) {
    this.#home = home;
  }

  note(harness: HarnessName, note: HookNote): void {
    let counts = this.#counts.get(harness);
    if (counts === undefined) {
      counts = { ...readHookCounts(this.#home, harness) };
      this.#counts.set(harness, counts);
    }
    counts[note] = (counts[note] ?? 0) + 1;
    counts.lastSeenMs = Date.now();
    this.#isDirty = true;
    if (this.#isDue || performance.now() - this.#writtenMs <= WRITE_EVERY_MS) return;
    // The harness waits in this turn of the loop.
    this.#isDue = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.#isDue = false;
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.#writtenMs = performance.now();
    for (const [harness, counts] of this.#counts) {
      const file = countsFile(this.#home, harness);
      try {
        fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
        const temporary = `${file}.${process.pid}.tmp`;
        fs.writeFileSync(temporary, JSON.stringify(counts), { mode: 0o600 });
        fs.renameSync(temporary, file);
      } catch {
        // A full disk stops snapshots, which say so; statistics may be lost.
        return;
      }
    }
  }
}

export function readHookCounts(home: Home, harness: HarnessName): HookCounts {
  try {
    const counts: unknown = JSON.parse(fs.readFileSync(countsFile(home, harness), 'utf8'));
    return { ...NONE, ...(counts as Partial<HookCounts>) };
  } catch {
    // Not written yet, or damaged: it counts from here.
    return NONE;
  }
}

function countsFile(home: Home, harness: HarnessName): string {
  return path.join(home.data, 'hooks', `${harness}.json`);
}
