/**
 * One simulated process: it has its own view of locks, disk and catalog, keeps workspaces open, and may
 * die at any step.
 *
 * Death is at once: what waits is never woken, locks are free, and what is still on the stack throws
 * before it touches anything. The disk and the catalog stay as they are at that instant.
 */
import { strict as assert } from 'node:assert';
import type { WorkspaceId } from '../../src/core/ids.ts';
import type { EngineWorkspace } from '../../src/engine/engine-workspace.ts';
import { SimCrash, type SimFaults } from './sim-faults.ts';
import type { SimLocks } from './sim-locks.ts';
import type { SimRandom } from './sim-random.ts';
import type { SimScheduler } from './sim-scheduler.ts';

/** What the simulated disk and catalog know of the process that uses them. */
export interface SimHost {
  /** Called before and after each thing that lasts. */
  step(label: string): void;
  /** The same before a change, which only the holder of the workspace's lock may make. */
  stepAlone(workspace: WorkspaceId, label: string): void;
  /** Where the disk takes time and others may come between. */
  pause(): Promise<void>;
}

/** A process in which nothing ever fails or waits: the auditor's, and that of tests. */
export const FAULTLESS: SimHost = { step() {}, stepAlone() {}, pause: async () => {} };

export interface SimProcessOptions {
  readonly scheduler: SimScheduler;
  readonly random: SimRandom;
  readonly faults: SimFaults;
  readonly locks: SimLocks;
  /** Milliseconds, the longest that one wait for the disk takes. */
  readonly pauseMsMax: number;
  readonly onDeath: () => void;
}

/** @typeParam Work what the simulator notes of a call under way */
export class SimProcess<Work = unknown> implements SimHost {
  readonly random: SimRandom;
  /** In the order of last use, the oldest first. */
  readonly open = new Map<WorkspaceId, EngineWorkspace>();
  readonly busyWith = new Set<Work>();
  readonly #options: SimProcessOptions;
  #isAlive = true;

  constructor(options: SimProcessOptions) {
    this.#options = options;
    this.random = options.random;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  step(label: string): void {
    if (!this.#isAlive) throw new SimCrash(label);
    if (this.#options.faults.draw(label) === 'go-on') return;
    this.die();
    throw new SimCrash(label);
  }

  stepAlone(workspace: WorkspaceId, label: string): void {
    this.step(label);
    const holder = this.#options.locks.holderOf(workspace);
    assert.ok(holder === this, `${label} on ${workspace} by a process that does not hold its lock`);
  }

  /** Never resolves when the process dies meanwhile. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.scheduler.after(delayMs, () => {
        if (this.#isAlive) resolve();
      });
    });
  }

  pause(): Promise<void> {
    return this.sleep((this.random.below(1000) / 1000) * this.#options.pauseMsMax);
  }

  die(): void {
    if (!this.#isAlive) return;
    this.#isAlive = false;
    this.#options.locks.releaseAllOf(this);
    this.open.clear();
    this.#options.onDeath();
  }
}
