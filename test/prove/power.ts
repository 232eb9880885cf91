/**
 * Power loss, faithful to the order of writes: `npm run prove -- power`.
 *
 * A session is recorded on a disk with a write cache; then the power is cut at flushes and between them,
 * with what was not flushed dropped, torn and reordered, and what is left is mounted, opened and held
 * against what had been acknowledged. One op is one cut.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mountsWithin } from '../platform/loop-image.ts';
import { SimRandom } from '../sim/sim-random.ts';
import type { Effort } from './effort.ts';
import { checkAfterPowerLoss } from './power-check.ts';
import { POWER_GROUNDS, type PowerGround, PowerPlace, withLoopDevice } from './power-ground.ts';
import { type Story, tellStory } from './power-story.ts';
import type { Prover, ProverOptions, ProverReport } from './prover.ts';
import { PowerLoss, RecordingDisk, SURVIVORS } from './recording-disk.ts';
import { Witness } from './witness.ts';

/** Calls of one recorded session: about half a second of disk traffic. */
const ROUNDS = 12;
/** Cuts of one recorded session. */
const CUTS_A_SESSION = { bounded: 8, long: 60 } as const;
/** One cut in so many is followed by a rollback. */
const GO_BACK_ONE_IN = 4;

export const power: Prover = {
  name: 'power',
  about: 'cuts the power between writes, mounts what is left, and looks for what was acknowledged',
  async run(options) {
    const effort = options.effort({
      bounded: { ops: CUTS_A_SESSION.bounded * POWER_GROUNDS.length, minutes: 3 },
      long: { ops: 1000, minutes: 120 },
    });
    const run = new PowerRun(options, effort);
    for (let session = 0; !effort.isSpent; session += 1) {
      for (const ground of POWER_GROUNDS) {
        if (!effort.isSpent) await run.session(ground, options.seed + session);
      }
    }
    return run.report();
  },
};

class PowerRun {
  readonly #options: ProverOptions;
  readonly #effort: Effort;
  readonly #failures: string[] = [];
  readonly #cuts: Record<string, number> = {};
  #sessions = 0;
  #writes = 0;
  #flushes = 0;

  constructor(options: ProverOptions, effort: Effort) {
    this.#options = options;
    this.#effort = effort;
  }

  report(): ProverReport {
    const { done } = this.#effort;
    const recorded = { sessions: this.#sessions, writes: this.#writes, flushes: this.#flushes };
    return { counts: { cuts: done, ...recorded, ...this.#cuts }, failures: this.#failures };
  }

  async session(ground: PowerGround, seed: number): Promise<void> {
    const directory = mkdtempSync(join(tmpdir(), 'ghostsnap-power-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'ghostsnap', directory]);
    try {
      await using witness = new Witness();
      const place = new PowerPlace(ground, join(directory, 'mnt'));
      const random = new SimRandom(seed);
      const recorded = await this.#record(directory, { place, witness, random });
      await this.#cut(directory, { place, witness, random, seed, ...recorded });
    } finally {
      // More than the tmpfs itself only where something above has failed.
      for (const mount of mountsWithin(directory)) execFileSync('umount', [mount]);
      rmdirSync(directory);
    }
    this.#sessions += 1;
    const { done } = this.#effort;
    this.#options.say(`${ground.name}, seed ${seed}: ${done} cuts, ${this.#failures.length} wrong`);
  }

  async #record(
    directory: string,
    parts: { place: PowerPlace; witness: Witness; random: SimRandom },
  ): Promise<{ story: Story; logPath: string }> {
    const { place } = parts;
    await using disk = await RecordingDisk.start(directory, bytesOf(place.ground));
    await place.make(disk.device);
    try {
      const story = await tellStory({ ...parts, disk, rounds: ROUNDS });
      return { story, logPath: disk.logPath };
    } finally {
      await place.leave();
    }
  }

  async #cut(directory: string, session: Session): Promise<void> {
    const { place, story, logPath, random, witness, seed } = session;
    const images = join(directory, 'images');
    mkdirSync(images);
    const sizeBytes = bytesOf(place.ground);
    using loss = new PowerLoss({ logPath, sizeBytes, directory: images, random });
    const { records } = loss;
    this.#writes += records.filter(({ kind }) => kind === 'write').length;
    this.#flushes += records.filter(({ kind }) => kind === 'flush').length;
    for (const count of this.#chooseCuts(session, records)) {
      if (this.#effort.isSpent) return;
      const survivors = random.pick(SURVIVORS);
      const goBack = random.oneIn(GO_BACK_ONE_IN) ? 'yes' : 'no';
      const at = records[count - 1]?.endAt ?? 0;
      const image = loss.image(count, survivors);
      const what = `${place.ground.name}, seed ${seed}, record ${count}, ${survivors} left`;
      try {
        const wrong = await withLoopDevice(image, async (device) => {
          await place.enter(device);
          try {
            return await checkAfterPowerLoss({ place, story, witness, at, goBack });
          } finally {
            await place.leave();
          }
        });
        this.#failures.push(...wrong.map((line) => `${what}: ${line}`));
      } catch (error) {
        const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
        this.#failures.push(`${what}: ${cause}`);
      }
      this.#effort.done += 1;
      this.#cuts[survivors] = (this.#cuts[survivors] ?? 0) + 1;
    }
  }

  /** Half of them right before or after a flush, half anywhere; after the workspace was filled. */
  #chooseCuts({ story, random }: Session, records: PowerLoss['records']): readonly number[] {
    const first = records.findIndex(({ endAt }) => endAt >= story.filledAt) + 1;
    const flushes = records.flatMap(({ kind }, at) => (kind === 'flush' && at > first ? [at] : []));
    const wanted = CUTS_A_SESSION[this.#options.extent];
    const cuts = new Set<number>();
    for (let i = 0; i < wanted; i += 1) {
      const isAtFlush = random.oneIn(2) && flushes.length > 0;
      const atFlush = isAtFlush ? random.pick(flushes) + random.below(2) : 0;
      cuts.add(isAtFlush ? atFlush : first + random.below(records.length - first + 1));
    }
    return [...cuts].sort((a, b) => a - b);
  }
}

interface Session {
  readonly place: PowerPlace;
  readonly witness: Witness;
  readonly random: SimRandom;
  readonly seed: number;
  readonly story: Story;
  readonly logPath: string;
}

function bytesOf(ground: PowerGround): number {
  return ground.sizeMiB * 2 ** 20;
}
