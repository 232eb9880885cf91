/**
 * Arming: the next snapshot is taken while nobody waits, and adopted when nothing has changed.
 *
 * On disk what is armed is no snapshot; the catalog makes it one. Order, and why each crash is harmless:
 * `snapshot.armed` is on disk before the backend begins, so an armed name that the catalog does not know
 * means a lost catalog, and is kept; adoption is `snapshot.created`, on disk before it is acknowledged, and
 * the name follows: a name that a crash kept from following is given by the next recovery. What was
 * disarmed or overtaken is removed by it. At most one is armed, and every operation that takes, turns or
 * deletes drops it first.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotLabels } from '../core/event.ts';
import type { SnapshotId } from '../core/ids.ts';
import { ulidOf } from '../core/ids.ts';
import { adoptableSnapshot } from '../core/step.ts';
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
  if (arming === null) return refused(`the ${backend.properties.kind} backend does not arm`);
  const { armed } = session.state;
  if (armed !== null && arming.check(session.ref, armed) === 'same') return ARMED;
  dropArmed(session);
  const refusal = isInVain(session) ? BUSY : arming.refusal(session.ref);
  if (refusal !== null) return refused(refusal);
  onStep('arm:begin');
  session.decide({ type: 'arm-snapshot', random: entropy.ulidRandom() }, 'power-loss');
  const id = session.state.armed as SnapshotId;
  onStep('arm:intent-written');
  try {
    await arming.arm(session.ref, id);
  } catch (error) {
    dropArmed(session);
    // A full pool or a swap file is told by the snapshot that somebody waits for.
    if (!(error instanceof GhostsnapError)) throw error;
    return refused(error.message);
  }
  onStep('arm:armed');
  return ARMED;
}

/** So often in a row nothing could be proven: then arming pauses for some tool calls and tries again. */
const UNPROVEN_MAX = 4;
const PAUSED_CALLS = 16;
const BUSY = 'others write to the same filesystem all the time, so that nothing can be proven';

/** On a busy filesystem each armed snapshot would only be one more to take and to remove. */
function isInVain(session: WorkspaceSession): boolean {
  if (session.unproven < UNPROVEN_MAX) return false;
  session.unproven += 1;
  if (session.unproven > UNPROVEN_MAX + PAUSED_CALLS) session.unproven = UNPROVEN_MAX - 1;
  return true;
}

const ARMED: ArmResult = { armed: true, reason: null };

function refused(reason: string): ArmResult {
  return { armed: false, reason };
}

/**
 * Inside `session.run`: the armed snapshot as the one that is asked for, durable on return.
 * @returns null: there is none, or it is not proven to be the live tree
 */
export function adoptArmed(
  session: WorkspaceSession,
  labels: SnapshotLabels,
  onStep: StepHook = NO_STEPS,
): SnapshotId | null {
  const { arming } = session.ports.backend;
  const id = adoptableSnapshot(session.state);
  if (arming === null || id === null) return null;
  const found = arming.check(session.ref, id);
  if (found === 'unproven') session.unproven += 1;
  else session.unproven = 0;
  if (found !== 'same') return null;
  onStep('adopt:begin');
  session.isUncertain = true;
  session.decide({ type: 'snapshot-taken', id, role: 'ordinary', ...labels }, 'power-loss');
  onStep('adopt:recorded');
  arming.adopt(session.ref, id);
  session.isUncertain = false;
  onStep('adopt:named');
  return id;
}

/** Inside `session.run`: nothing is armed afterwards. The disk first, so that the catalog knows of what is left. */
export function dropArmed(session: WorkspaceSession): void {
  const { armed } = session.state;
  if (armed === null) return;
  session.ports.backend.arming?.drop(session.ref, armed);
  session.decide({ type: 'disarm-snapshot' }, 'process-crash');
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
