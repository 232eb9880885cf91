/**
 * Tool calls: a snapshot before, the end after, what changed between.
 *
 * Order: the snapshot is on disk before one transaction records it and says with `call.begun` that the tool
 * may run, so that a call in the log always has its state. A crash between leaves a snapshot without a
 * call, which is harmless. Counting and looking for changes without a call are no part of either: they read trees, run
 * when nobody waits, and may be dropped.
 */
import type { UncoveredPath } from '../backend/backend.ts';
import { createCallMeter } from '../core/call-meter.ts';
import type { Command } from '../core/command.ts';
import { assert, GhostsnapError } from '../core/errors.ts';
import type { CallChanges, CallFacts } from '../core/event.ts';
import { type CallId, isCallId, type SnapshotId } from '../core/ids.ts';
import { keptInput, keptLine } from '../core/kept-input.ts';
import { NAME_BYTES_MAX, UNPROTECTED_BYTES_MAX } from '../core/limits.ts';
import { METRIC } from '../core/telemetry-names.ts';
import { ensureSession, newestPromptOf } from './agent-sessions.ts';
import type { BeginCallRequest, EndCallRequest } from './call-results.ts';
import { requiredName } from './labels.ts';
import type { CallRow } from './ports.ts';
import { takeSnapshot } from './take-snapshot.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface BegunToolCall {
  readonly call: CallId;
  readonly snapshot: SnapshotId | null;
  readonly adopted: boolean;
  readonly repeated: boolean;
  readonly overlaps: readonly CallId[];
  readonly unprotected: string | null;
  readonly uncovered: readonly UncoveredPath[];
}

/**
 * Inside `session.run`.
 * @throws GhostsnapError BAD_ARGUMENT for a name that is missing or too long; what taking a snapshot throws
 */
export async function beginCall(
  session: WorkspaceSession,
  request: BeginCallRequest,
): Promise<BegunToolCall> {
  const tool = requiredName('tool', request.tool, NAME_BYTES_MAX);
  const key = requiredName('call', request.key, NAME_BYTES_MAX);
  const name = ensureSession(session, request);
  const repeated = request.keyKind === 'derived' ? null : findInFlight(session, name, key);
  if (repeated !== null) return repeatedCall(session, repeated);
  endUnreported(session, name, request.runsAlone);
  const readOnly = request.readOnly === 'yes';
  const names = { session: name, tool, key };
  const protection = readOnly
    ? { ...UNPROTECTED, snapshot: session.state.head }
    : await protectOrRefuse(session, request, names);
  const { snapshot, unprotected, adopted, uncovered } = protection;
  // Otherwise it was recorded with the snapshot that was taken for it.
  const isUnrecorded = readOnly || unprotected !== null;
  if (isUnrecorded) record(session, request, { ...names, snapshot, readOnly, unprotected });
  const call = newestCall(session, key);
  const overlaps = session.state.calls.slice(0, -1).map((other) => other.call);
  return { call, snapshot, adopted, repeated: false, overlaps, unprotected, uncovered };
}

/** Otherwise it would seem to overlap all that its session does until the next prompt. */
function endUnreported(
  session: WorkspaceSession,
  name: string,
  runsAlone: ReadonlySet<string> | undefined,
): void {
  if (runsAlone === undefined) return;
  const { catalog } = session.ports;
  for (const { call } of session.state.calls.filter((other) => other.session === name)) {
    const tool = catalog.call(session.ref.id, call)?.tool;
    if (tool === undefined || !runsAlone.has(tool)) continue;
    session.decide({ type: 'end-call', call, outcome: 'unknown' }, 'process-crash');
  }
}

type RecordedFacts = Omit<CallFacts, 'input' | 'prompt'>;

/** The entry of a call that may start now. */
function record(session: WorkspaceSession, request: BeginCallRequest, facts: RecordedFacts): void {
  session.decide(beginning(session, request, facts), 'process-crash');
}

function beginning(
  session: WorkspaceSession,
  request: BeginCallRequest,
  facts: RecordedFacts,
): Extract<Command, { type: 'begin-call' }> {
  const input = keptInput(request.input ?? null, request.redaction ?? 'on');
  const prompt = newestPromptOf(session, facts.session);
  const random = session.ports.entropy.ulidRandom();
  return { type: 'begin-call', random, prompt, input, ...facts };
}

function newestCall(session: WorkspaceSession, key: string): CallId {
  const begun = session.state.calls.at(-1);
  assert(begun?.key === key, 'a call that began is in flight');
  return begun.call;
}

interface CallNames {
  readonly session: string;
  readonly tool: string;
  readonly key: string;
}

/** A call that is not let through has its entry too: somebody will ask why the agent stopped. */
async function protectOrRefuse(
  session: WorkspaceSession,
  request: BeginCallRequest,
  names: CallNames,
): Promise<Protection> {
  try {
    return await protect(session, request, names);
  } catch (error) {
    const isFailure = error instanceof GhostsnapError && error.code !== 'INTERRUPTED';
    if (isFailure) recordRefused(session, request, { ...names, why: whyUnprotected(error) });
    throw error;
  }
}

function recordRefused(
  session: WorkspaceSession,
  request: BeginCallRequest,
  { why, ...names }: CallNames & { readonly why: string },
): void {
  try {
    // As read-only: what did not run changed nothing.
    const facts = { ...names, snapshot: null, readOnly: true, unprotected: why };
    const refused = { ...beginning(session, request, facts), type: 'refuse-call' } as const;
    session.decide(refused, 'process-crash');
  } catch (error) {
    // What keeps a snapshot from being taken may keep its record from being written; the agent is told
    // why its call was stopped, by the failure that stopped it.
    if (!(error instanceof GhostsnapError)) throw error;
  }
}

/** Inside `session.run`. @throws GhostsnapError CALL_NOT_FOUND when it is not in flight */
export function endCall(session: WorkspaceSession, request: EndCallRequest): CallId {
  const call =
    'call' in request ? request.call : findInFlight(session, request.session, request.key);
  if (call === null) {
    throw new GhostsnapError('CALL_NOT_FOUND', 'The call that ended is not in flight.', {
      hint: 'It ended already, or its beginning was not seen.',
      data: { workspace: session.ref.id },
    });
  }
  session.decide({ type: 'end-call', call, outcome: request.outcome }, 'process-crash');
  return call;
}

/**
 * Counts what a call did: from its snapshot to the live tree as it is now. Takes no lock while it reads.
 * @returns null for a call without a snapshot of its own
 * @throws GhostsnapError CALL_NOT_FOUND; INTERRUPTED through `signal`
 */
export async function measureCall(
  session: WorkspaceSession,
  call: CallId,
  signal: AbortSignal | undefined,
): Promise<CallChanges | null> {
  const row = requireCall(session, call);
  if (row.changes !== null || row.readOnly || row.snapshot === null) return row.changes;
  const changes = await countChanges(session, { from: row.snapshot, to: 'live', signal });
  await recordChanges(session, { call, changes, signal });
  return changes;
}

async function recordChanges(
  session: WorkspaceSession,
  counted: {
    readonly call: CallId;
    readonly changes: CallChanges;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { call, changes, signal } = counted;
  await session.run({ purpose: 'count changes', signal }, () => {
    session.decide({ type: 'measure-call', call, ...changes }, 'process-crash');
  });
}

/**
 * Whether the tree changed between the end of the call before and the beginning of this one, without a
 * call: a hook that was skipped, a person, another program. What was found is recorded. When the call
 * before was not counted, what lies between is taken for its own, and recorded as its count.
 */
export async function findUnattributed(
  session: WorkspaceSession,
  call: CallId,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const row = requireCall(session, call);
  const before = comparableCallBefore(session, row);
  const to = row.snapshot;
  if (before === null || to === null || before.snapshot === null) return false;
  const now = await countChanges(session, { from: before.snapshot, to, signal });
  if (before.changes === null) {
    await recordChanges(session, { call: before.call, changes: now, signal });
    return false;
  }
  if (now.digest === before.changes.digest) return false;
  await session.run({ purpose: 'record a change without a call', signal }, () => {
    session.decide(
      { type: 'note-unattributed', snapshot: to, since: before.call },
      'process-crash',
    );
  });
  return true;
}

/** How far back a call that changes things is looked for: read-only ones lie between. */
const CALLS_SEARCHED = 32;

/**
 * The call after whose end the tree was last known, if nothing else could have changed it since: no call
 * that runs still, no rollback. Where calls ran at the same time it is the one that ended last: it was
 * counted then, with everything that the others had done.
 */
function comparableCallBefore(session: WorkspaceSession, row: CallRow): CallRow | null {
  const { catalog } = session.ports;
  if (row.readOnly || overlapsWriter(session, row)) return null;
  const earlier = catalog
    .listCalls(session.ref.id, { before: row.call, limit: CALLS_SEARCHED })
    .filter(({ readOnly }) => !readOnly);
  const before = lastEnded(earlier);
  if (before === null || before.snapshot === null || before.endedAtMs === null) return null;
  const [operation] = catalog.listOperations(session.ref.id, 1);
  const isTurned = operation !== undefined && operation.startedAtMs >= before.endedAtMs;
  const isKept = catalog.snapshot(session.ref.id, before.snapshot) !== null;
  return isTurned || !isKept ? null : before;
}

/** null: one of those beside it runs still, or nobody knows when it ended, or two ended at once. */
function lastEnded(newestFirst: readonly CallRow[]): CallRow | null {
  let last: CallRow | null = null;
  for (const row of newestFirst) {
    // What overlaps none of those behind it ended before they began.
    const isBeside = last === null || row.overlaps.length > 0;
    if (!isBeside) break;
    if (row.endedAtMs === null) return null;
    if (row.outcome === 'unknown' && row.overlaps.length > 0) return null;
    if (last !== null && row.endedAtMs === last.endedAtMs) return null;
    if (last === null || row.endedAtMs > (last.endedAtMs ?? 0)) last = row;
  }
  return last;
}

function overlapsWriter(session: WorkspaceSession, row: CallRow): boolean {
  const { catalog } = session.ports;
  return row.overlaps.some((other) => catalog.call(session.ref.id, other)?.readOnly === false);
}

interface Protection {
  readonly snapshot: SnapshotId | null;
  readonly adopted: boolean;
  readonly unprotected: string | null;
  readonly uncovered: readonly UncoveredPath[];
}

const UNPROTECTED: Protection = {
  snapshot: null,
  adopted: false,
  unprotected: null,
  uncovered: [],
};

async function protect(
  session: WorkspaceSession,
  request: BeginCallRequest,
  names: CallNames,
): Promise<Protection> {
  const { signal } = request;
  const { tool, session: name, key: call } = names;
  const begins = { ...names, readOnly: false, unprotected: null };
  const alongside = (snapshot: SnapshotId): readonly Command[] => [
    beginning(session, request, { ...begins, snapshot }),
  ];
  try {
    const options = signal === undefined ? { alongside } : { alongside, signal };
    const labels = { label: null, tool, session: name, call };
    const taken = await takeSnapshot(session, 'ordinary', labels, options);
    const { id: snapshot, adopted, uncovered } = taken;
    return { ...UNPROTECTED, snapshot, adopted, uncovered };
  } catch (error) {
    if (request.onSnapshotFailure !== 'warn' || !(error instanceof GhostsnapError)) throw error;
    session.telemetry.count(METRIC.callsUnprotected, 1);
    return { ...UNPROTECTED, unprotected: whyUnprotected(error) };
  }
}

function whyUnprotected({ code, message }: GhostsnapError): string {
  return keptLine(`${code}: ${message}`, UNPROTECTED_BYTES_MAX);
}

function findInFlight(session: WorkspaceSession, name: string, key: string): CallId | null {
  const found = session.state.calls.find((call) => call.session === name && call.key === key);
  return found?.call ?? null;
}

function repeatedCall(session: WorkspaceSession, call: CallId): BegunToolCall {
  const { snapshot, overlaps, unprotected } = requireCall(session, call);
  return { ...UNPROTECTED, call, snapshot, repeated: true, overlaps, unprotected };
}

/** @throws GhostsnapError CALL_NOT_FOUND */
export function requireCall(session: WorkspaceSession, call: string): CallRow {
  const row = isCallId(call) ? session.ports.catalog.call(session.ref.id, call) : null;
  if (row !== null) return row;
  throw new GhostsnapError('CALL_NOT_FOUND', `There is no call ${call} in this workspace.`, {
    hint: 'List the calls with "ghostsnap log".',
    data: { call },
  });
}

async function countChanges(
  session: WorkspaceSession,
  between: {
    readonly from: SnapshotId;
    readonly to: SnapshotId | 'live';
    readonly signal: AbortSignal | undefined;
  },
): Promise<CallChanges> {
  const { from, to, signal } = between;
  const meter = createCallMeter();
  const options = { mtimes: false, ...(signal === undefined ? {} : { signal }) };
  for await (const change of session.ports.backend.compare(session.ref, from, to, options)) {
    meter.count(change);
  }
  return meter.changes();
}
