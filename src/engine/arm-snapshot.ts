/**
 * Arming: the next snapshot is taken while nobody waits, and adopted when nothing has changed.
 *
 * On disk what is armed is no snapshot; the catalog makes it one. Order, and why each crash is harmless:
 * `snapshot.armed` is on disk before the backend begins, so an armed name that the catalog does not know
 * means a lost catalog, and is kept; adoption is `snapshot.created`, on disk before it is acknowledged, and
 * the name follows: a name that a crash kept from following is given by the next recovery. What was
 * disarmed or overtaken is removed by it. At most one is armed; an operation that turns or deletes drops it
 * first, and a snapshot that was taken afresh drops it behind itself.
 */
import type { Arming } from '../backend/backend.ts';
import type { Command } from '../core/command.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotLabels } from '../core/event.ts';
import type { SnapshotId } from '../core/ids.ts';
import { ulidOf } from '../core/ids.ts';
import { adoptableSnapshot } from '../core/step.ts';
import { METRIC, OUTCOME, SPAN } from '../core/telemetry-names.ts';
import { NO_LABELS } from './labels.ts';
import type { RecoveryDraft } from './reconcile.ts';
import type { ArmResult } from './results.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** Labelled steps, in order; a test kills the process at each. */
export const ARM_STEPS = ['arm:begin', 'arm:intent-written', 'arm:armed'] as const;
export const ADOPT_STEPS = ['adopt:begin', 'adopt:recorded', 'adopt:named'] as const;

type StepHook = (label: string) => void;
const NO_STEPS: StepHook = () => undefined;

/** Inside `session.run`, on an active workspace, with nothing uncertain. */
export async function armSnapshot(
  session: WorkspaceSession,
  onStep: StepHook = NO_STEPS,
): Promise<ArmResult> {
  const { backend, entropy } = session.ports;
  const { arming } = backend;
  if (arming === null) {
    return refused(session, `the ${backend.properties.kind} backend does not arm`);
  }
  const armed = adoptableSnapshot(session.state);
  if (armed !== null && arming.check(session.ref, armed) === 'same') return ARMED;
  dropArmed(session);
  const refusal = isInVain(arming) ? BUSY : arming.refusal(session.ref);
  if (refusal !== null) return refused(session, refusal);
  onStep('arm:begin');
  await session.decideDurably({ type: 'arm-snapshot', random: entropy.ulidRandom() });
  const id = session.state.armed as SnapshotId;
  onStep('arm:intent-written');
  try {
    await arming.arm(session.ref, id);
  } catch (error) {
    dropArmed(session);
    // A full pool or a swap file is told by the snapshot that somebody waits for.
    if (!(error instanceof GhostsnapError)) throw error;
    return refused(session, error.message);
  }
  onStep('arm:armed');
  // What was to be written of this workspace is: more can only be others'.
  if (arming.check(session.ref, id) === 'unproven') luckOf(arming).unproven += 1;
  return ARMED;
}

/** So often in a row nothing could be proven: then arming pauses for some tool calls and tries again. */
const UNPROVEN_MAX = 4;
const PAUSED_CALLS = 16;
const BUSY = 'others write to the same filesystem all the time, so that nothing can be proven';

/**
 * How often in a row an armed snapshot could neither be proven nor refuted. It is others that keep it from
 * being proven, so what one workspace learns holds for all of a backend.
 */
const lucks = new WeakMap<Arming, { unproven: number }>();

function luckOf(arming: Arming): { unproven: number } {
  let luck = lucks.get(arming);
  if (luck === undefined) {
    luck = { unproven: 0 };
    lucks.set(arming, luck);
  }
  return luck;
}

/**
 * On a busy filesystem each armed snapshot would only be one more to take and to remove. After a pause one
 * is tried; what becomes of it is known when somebody wants it, and until then the pause goes on.
 */
function isInVain(arming: Arming): boolean {
  const luck = luckOf(arming);
  if (luck.unproven < UNPROVEN_MAX) return false;
  luck.unproven += 1;
  if (luck.unproven <= UNPROVEN_MAX + PAUSED_CALLS) return true;
  luck.unproven = UNPROVEN_MAX;
  return false;
}

const ARMED: ArmResult = { armed: true, reason: null };

function refused(session: WorkspaceSession, reason: string): ArmResult {
  session.telemetry.count(METRIC.armingRefused, 1);
  return { armed: false, reason };
}

/** What is decided together with a snapshot, in the transaction that records it. */
export type Alongside = (id: SnapshotId) => readonly Command[];

interface AdoptOptions {
  readonly onStep?: StepHook | undefined;
  readonly alongside?: Alongside | undefined;
}

/**
 * Inside `session.run`: the armed snapshot as the one that is asked for, durable on return.
 * @returns null: there is none, or it is not proven to be the live tree
 */
export async function adoptArmed(
  session: WorkspaceSession,
  labels: SnapshotLabels,
  { onStep = NO_STEPS, alongside }: AdoptOptions = {},
): Promise<SnapshotId | null> {
  const id = provenArmed(session);
  if (id === null) return null;
  const startNs = session.telemetry.nowNs();
  onStep('adopt:begin');
  session.isUncertain = true;
  const taken = { type: 'snapshot-taken', id, role: 'ordinary', ...labels } as const;
  await session.decideDurably(taken, ...(alongside?.(id) ?? []));
  nameAdopted(session, id, onStep);
  tellAdopted(session, startNs);
  return id;
}

/** The same inside `session.runSync`. */
export function adoptArmedSync(
  session: WorkspaceSession,
  labels: SnapshotLabels,
): SnapshotId | null {
  const id = provenArmed(session);
  if (id === null) return null;
  const startNs = session.telemetry.nowNs();
  session.isUncertain = true;
  session.decide({ type: 'snapshot-taken', id, role: 'ordinary', ...labels }, 'power-loss');
  nameAdopted(session, id, NO_STEPS);
  tellAdopted(session, startNs);
  return id;
}

function tellAdopted({ telemetry, trace }: WorkspaceSession, startNs: number): void {
  telemetry.span(SPAN.adopt, trace, startNs, telemetry.nowNs(), OUTCOME.ok);
  telemetry.count(METRIC.snapshotsAdopted, 1);
}

const LOOKS = {
  same: METRIC.armedSame,
  changed: METRIC.armedChanged,
  unproven: METRIC.armedUnproven,
} as const;

function provenArmed(session: WorkspaceSession): SnapshotId | null {
  const { arming } = session.ports.backend;
  const id = adoptableSnapshot(session.state);
  if (arming === null || id === null) return null;
  const found = arming.check(session.ref, id);
  session.telemetry.count(LOOKS[found], 1);
  const luck = luckOf(arming);
  luck.unproven = found === 'unproven' ? luck.unproven + 1 : 0;
  return found === 'same' ? id : null;
}

function nameAdopted(session: WorkspaceSession, id: SnapshotId, onStep: StepHook): void {
  onStep('adopt:recorded');
  session.ports.backend.arming?.adopt(session.ref, id);
  session.isUncertain = false;
  onStep('adopt:named');
}

/** Inside `session.run`: nothing is armed afterwards. */
export function dropArmed(session: WorkspaceSession): void {
  session.decideTogether(overtakeArmed(session), 'process-crash');
}

/**
 * Inside `session.run`: takes what is armed off the disk, if anything is. The disk first, so that the catalog
 * knows of what is left.
 * @returns what is to be decided then
 */
export function overtakeArmed({ state, ports, ref }: WorkspaceSession): readonly Command[] {
  if (state.armed === null) return [];
  ports.backend.arming?.drop(ref, state.armed);
  return [{ type: 'disarm-snapshot' }];
}

/** Makes catalog and disk agree on what is armed, before the snapshots are compared. */
export function reconcileArmed(session: WorkspaceSession, draft: RecoveryDraft): void {
  const { arming } = session.ports.backend;
  if (arming === null) return;
  const { catalog } = session.ports;
  const { lastUlid, armed } = session.state;
  const onDisk = arming.list(session.ref);
  for (const id of onDisk) {
    if (id === armed) continue;
    if (catalog.snapshot(session.ref.id, id) !== null) {
      arming.adopt(session.ref, id);
    } else if (ulidOf(id) > lastUlid) {
      // The catalog that armed it is lost, and with it whether somebody was told of the snapshot.
      arming.adopt(session.ref, id);
      session.decide(
        { type: 'snapshot-taken', id, role: 'adopted', ...NO_LABELS },
        'process-crash',
      );
      draft.adopted.push(id);
    } else {
      arming.drop(session.ref, id);
    }
  }
  if (armed !== null && !onDisk.includes(armed)) {
    session.decide({ type: 'disarm-snapshot' }, 'process-crash');
  }
}
