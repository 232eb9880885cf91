/**
 * The retention plan: which snapshots stay, which go, and by which rule.
 *
 * Every rule looks at all snapshots; one rule that keeps a snapshot is enough, and the first in the
 * order below gives the words. Planning is pure: nothing is deleted here, and the same snapshots, policy
 * and time give the same plan in whatever order they come.
 */
import { type SnapshotId, ulidOf, ulidTimeMs } from '../ids.ts';
import type { RetentionDecision } from './decision.ts';
import { type BisectUnderWay, keepBisected } from './keep-bisected.ts';
import { keepLast } from './keep-last.ts';
import { keepNeeded } from './keep-needed.ts';
import { keepNewest } from './keep-newest.ts';
import { keepPinned } from './keep-pinned.ts';
import { keepWithin } from './keep-within.ts';
import type { RetentionPolicy } from './policy.ts';
import type { RetentionCandidate, RetentionRule, RetentionSnapshot } from './rule.ts';
import { thinOut, thinOutTiers } from './thin-out.ts';

export interface RetentionRequest {
  /** In any order. */
  readonly snapshots: readonly RetentionSnapshot[];
  /** What the workspace needs: head, operations in flight, undo and redo. */
  readonly protectedIds: ReadonlySet<SnapshotId>;
  /** Default: none is under way. */
  readonly bisect?: BisectUnderWay | null;
  readonly policy: RetentionPolicy;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
}

/** One decision a snapshot, newest first. */
export function planRetention(request: RetentionRequest): RetentionDecision[] {
  const { policy, nowMs } = request;
  const candidates = request.snapshots.map(candidateOf).sort(newestFirst);
  const rules: readonly RetentionRule[] = [
    keepPinned,
    keepNeeded(request.protectedIds),
    keepBisected(request.bisect ?? null),
    keepNewest,
    keepLast(policy.keepLast),
    keepWithin(policy.keepWithinMs),
    thinOut(policy),
  ];
  const reasons = new Map<SnapshotId, string>();
  for (const rule of rules) {
    for (const [id, words] of rule(candidates, nowMs)) {
      if (!reasons.has(id)) reasons.set(id, words);
    }
  }
  return candidates.map((candidate) => {
    const reason = reasons.get(candidate.id);
    if (reason !== undefined) return { id: candidate.id, keep: true, rule: reason };
    return { id: candidate.id, keep: false, rule: whyDropped(candidate, request) };
  });
}

/**
 * An adopted snapshot was recorded when recovery found it, which may be long after it was taken: its id
 * holds the earlier time.
 */
function candidateOf(snapshot: RetentionSnapshot): RetentionCandidate {
  const { id, pinned, createdAtMs, role } = snapshot;
  if (role !== 'adopted') return { id, pinned, takenAtMs: createdAtMs };
  return { id, pinned, takenAtMs: Math.min(createdAtMs, ulidTimeMs(ulidOf(id))) };
}

/** Ids of one workspace rise with every snapshot, also when the clock is set back: they are the order. */
function newestFirst(a: RetentionCandidate, b: RetentionCandidate): number {
  return a.id < b.id ? 1 : a.id > b.id ? -1 : 0;
}

/** The finest calendar unit that is still kept at this age had a newer snapshot; or nothing reaches so far. */
function whyDropped(candidate: RetentionCandidate, request: RetentionRequest): string {
  const ageMs = request.nowMs - candidate.takenAtMs;
  const units = thinOutTiers(request.policy).filter(({ ageMsMax }) => ageMs <= ageMsMax);
  const finest = units[0];
  if (finest === undefined) return 'older than every rule keeps';
  return `not the newest of its ${finest.unit}`;
}
