/**
 * Names of what is measured: one table for spans, one for metrics, one for outcomes.
 *
 * A name is a small integer where it is written, because the one who writes may not allocate; the tables
 * give it back its text, its unit and its attributes where it is read. Names follow the semantic
 * conventions of OpenTelemetry where these have one (`http.server.*`, `process.*`, `v8js.*`, `nodejs.*`);
 * what is ghostsnap's own begins with `ghostsnap.`. Numbers are never stored: they may be given anew.
 */
import { type ErrorKind, GhostsnapError } from './errors.ts';

/** How a span ended. `refused`: the caller's doing (a bad argument, a limit, a conflict). */
export const OUTCOME = { ok: 0, error: 1, refused: 2, cancelled: 3 } as const;
export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME];

/** What a failure was: ours, the caller's, or an end that was asked for. */
export function outcomeOf(failure: unknown): Outcome {
  if (!(failure instanceof GhostsnapError)) return OUTCOME.error;
  if (failure.code === 'INTERRUPTED') return OUTCOME.cancelled;
  return REFUSALS.has(failure.kind) ? OUTCOME.refused : OUTCOME.error;
}

/** `limit` is not among them: a full pool is an operator's trouble. */
const REFUSALS: ReadonlySet<ErrorKind> = new Set<ErrorKind>([
  'usage',
  'not-found',
  'conflict',
  'denied',
  'unsupported',
]);
export const OUTCOME_NAMES = ['ok', 'error', 'refused', 'cancelled'] as const;

export interface SpanDefinition {
  readonly name: string;
  /** The histogram that its durations make, in seconds: its name is the span's and `.duration`. */
  readonly help: string;
  /** OTLP's: 1 internal, 2 server. */
  readonly kind: 1 | 2;
}

/** From the request down to the system call. Each also makes a histogram by outcome. */
export const SPANS = [
  span('http.server.request', 'A request, from its head to the last byte of its answer.', 2),
  span('ghostsnap.frame', 'One call on a long-lived stream of frames.', 2),
  span('ghostsnap.hook', 'One hook of an agent, payload in, reply out.', 2),
  span('ghostsnap.mcp.tool', 'One call of a tool of the MCP server.', 2),
  span('ghostsnap.command', 'One command of the command line.'),
  span('ghostsnap.call.begin', 'What a tool waits for: the snapshot before it, and its record.'),
  span('ghostsnap.call.end', 'The record of a tool that ended.'),
  span('ghostsnap.snapshot', 'A snapshot that somebody asked for, with the wait for its turn.'),
  span('ghostsnap.workspace.wait', "The wait for a workspace's queue and lock."),
  span('ghostsnap.snapshot.adopt', 'Proof that nothing has changed, and the adoption.'),
  span('ghostsnap.backend.snapshot', 'The backend taking a snapshot.'),
  span('ghostsnap.btrfs.snap_create', 'The system call that makes a snapshot on btrfs.'),
  span('ghostsnap.catalog.commit', 'Handing events to the catalog.'),
  span('ghostsnap.catalog.land', 'The wait until the catalog has them on disk.'),
  span('ghostsnap.snapshot.arm', 'Taking the next snapshot while nobody waits.'),
  span('ghostsnap.rollback', 'A workspace or some paths going back, undo and redo included.'),
  span('ghostsnap.backend.turn', 'The backend turning a tree.'),
  span('ghostsnap.snapshots.delete', 'Deleting snapshots.'),
  span('ghostsnap.workspace.open', 'Opening a workspace, recovery included.'),
  span('ghostsnap.workspace.destroy', 'Destroying a workspace.'),
] as const;

export const SPAN = {
  httpRequest: 0,
  frame: 1,
  hook: 2,
  mcpTool: 3,
  command: 4,
  callBegin: 5,
  callEnd: 6,
  snapshot: 7,
  workspaceWait: 8,
  adopt: 9,
  backendSnapshot: 10,
  snapCreate: 11,
  catalogCommit: 12,
  catalogLand: 13,
  arm: 14,
  rollback: 15,
  backendTurn: 16,
  deleteSnapshots: 17,
  openWorkspace: 18,
  destroyWorkspace: 19,
} as const;
export type SpanName = (typeof SPAN)[keyof typeof SPAN];

export interface MetricDefinition {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  /** UCUM, as OpenTelemetry writes units. */
  readonly unit: string;
  readonly help: string;
  /** What tells several numbers of one name apart. */
  readonly attributes: Readonly<Record<string, string>>;
}

const PROVEN = 'Looks at an armed snapshot when the next one was asked for.';
const QUEUE = 'Work that waits for its turn.';
const GC = 'Time in garbage collections of the main thread.';

/** Numbers that no span gives: counters only grow, gauges hold what was last said. */
export const METRICS = [
  counter('ghostsnap.snapshots', '{snapshot}', 'Snapshots that were recorded.', { way: 'fresh' }),
  counter('ghostsnap.snapshots', '{snapshot}', 'Snapshots that were recorded.', { way: 'adopted' }),
  counter('ghostsnap.snapshot.failures', '{failure}', 'Snapshots that could not be taken.'),
  counter('ghostsnap.calls.unprotected', '{call}', 'Tool calls let through without a snapshot.'),
  counter('ghostsnap.arming.checks', '{check}', PROVEN, { result: 'same' }),
  counter('ghostsnap.arming.checks', '{check}', PROVEN, { result: 'changed' }),
  counter('ghostsnap.arming.checks', '{check}', PROVEN, { result: 'unproven' }),
  counter('ghostsnap.arming.refusals', '{refusal}', 'Times that nothing was armed.'),
  counter('ghostsnap.snapshots.deleted', '{snapshot}', 'Snapshots that were deleted.'),
  counter('ghostsnap.tree.changes', '{path}', 'Paths that rollbacks and restores changed.'),
  counter('ghostsnap.events', '{event}', 'Events written to the catalog.'),
  gauge('ghostsnap.workspaces.open', '{workspace}', 'Workspaces whose engine is open.'),
  gauge('ghostsnap.sessions.live', '{session}', 'Sessions that have begun and not ended.'),
  gauge('ghostsnap.queue.depth', '{operation}', QUEUE, { queue: 'begin' }),
  gauge('ghostsnap.queue.depth', '{operation}', QUEUE, { queue: 'large' }),
  gauge('ghostsnap.queue.depth', '{operation}', QUEUE, { queue: 'background' }),
  counter('ghostsnap.requests.refused', '{request}', 'Requests refused at the door.'),
  counter('ghostsnap.requests.shed', '{request}', 'Requests answered 429 or 503 with Retry-After.'),
  gauge('http.server.active_requests', '{request}', 'Requests under way.'),
  gauge('ghostsnap.connections', '{connection}', 'Connections of clients.'),
  counter('ghostsnap.network.io', 'By', 'Bytes of bodies.', { direction: 'receive' }),
  counter('ghostsnap.network.io', 'By', 'Bytes of bodies.', { direction: 'transmit' }),
  gauge('ghostsnap.pool.size', 'By', 'Bytes of the pool that has the least room.'),
  gauge('ghostsnap.pool.free', 'By', 'Bytes that are free in the pool that has the least room.'),
  gauge('process.memory.usage', 'By', 'Resident memory.'),
  counter('process.cpu.time', 's', 'Processor time.', { 'cpu.mode': 'user' }),
  counter('process.cpu.time', 's', 'Processor time.', { 'cpu.mode': 'system' }),
  gauge('process.unix.file_descriptor.count', '{file_descriptor}', 'Open descriptors.'),
  gauge('process.uptime', 's', 'Seconds since the start of the process.'),
  gauge('system.cpu.utilization', '1', 'Share of all processors in use, by anybody.'),
  gauge('nodejs.eventloop.delay.p50', 's', 'Delay of the event loop since the last look.'),
  gauge('nodejs.eventloop.delay.p99', 's', 'Delay of the event loop since the last look.'),
  gauge('nodejs.eventloop.delay.max', 's', 'Delay of the event loop since the last look.'),
  gauge('nodejs.eventloop.utilization', '1', 'Share of time that the event loop is busy.'),
  counter('v8js.gc.time', 's', GC, { 'v8js.gc.type': 'minor' }),
  counter('v8js.gc.time', 's', GC, { 'v8js.gc.type': 'major' }),
  counter('v8js.gc.time', 's', GC, { 'v8js.gc.type': 'incremental' }),
  gauge('v8js.memory.heap.used', 'By', 'Heap in use on the main thread.'),
  counter('ghostsnap.telemetry.dropped', '{span}', 'Spans dropped: the sidecar was behind.'),
  counter('ghostsnap.telemetry.restarts', '{restart}', 'Times that the sidecar was started anew.'),
  counter('ghostsnap.telemetry.exported', '{span}', 'Spans that the OTLP receiver took.'),
  counter('ghostsnap.telemetry.lost', '{span}', 'Spans that the OTLP receiver did not take.'),
  counter('ghostsnap.telemetry.export.failures', '{failure}', 'Exports that failed after retries.'),
] as const;

export const METRIC = {
  snapshotsFresh: 0,
  snapshotsAdopted: 1,
  snapshotFailures: 2,
  callsUnprotected: 3,
  armedSame: 4,
  armedChanged: 5,
  armedUnproven: 6,
  armingRefused: 7,
  snapshotsDeleted: 8,
  treeChanges: 9,
  events: 10,
  workspacesOpen: 11,
  sessionsLive: 12,
  queueBegin: 13,
  queueLarge: 14,
  queueBackground: 15,
  requestsRefused: 16,
  requestsShed: 17,
  requestsActive: 18,
  connections: 19,
  bytesReceived: 20,
  bytesSent: 21,
  poolSize: 22,
  poolFree: 23,
  memory: 24,
  cpuUser: 25,
  cpuSystem: 26,
  descriptors: 27,
  uptime: 28,
  systemCpu: 29,
  loopDelayP50: 30,
  loopDelayP99: 31,
  loopDelayMax: 32,
  loopUtilization: 33,
  gcMinor: 34,
  gcMajor: 35,
  gcIncremental: 36,
  heapUsed: 37,
  telemetryDropped: 38,
  telemetryRestarts: 39,
  telemetryExported: 40,
  telemetryLost: 41,
  telemetryExportFailures: 42,
} as const;
export type MetricName = (typeof METRIC)[keyof typeof METRIC];

/**
 * Upper bounds of the histograms' buckets, in seconds. 1.2 ms and 12 ms are there because they are the
 * objectives: what an adoption and what `begin` may take is read off exactly, not interpolated.
 */
export const DURATION_BOUNDS_S = [
  0.0001, 0.00025, 0.0005, 0.0012, 0.0025, 0.005, 0.008, 0.012, 0.02, 0.035, 0.06, 0.1, 0.25, 0.5,
  1, 2.5, 5, 10,
] as const;

/** Answers that are told apart; any other counts with the first of its hundred. */
export const STATUS_CODES = [
  100, 200, 201, 202, 204, 300, 304, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 431,
  500, 501, 503, 504, 507,
] as const;

/** Routes of the API that are told apart; what lies beyond counts with the last. */
export const ROUTES_MAX = 64;

export interface RouteName {
  readonly method: string;
  /** The template, `/v1/workspaces/{workspace}`: never a path with an id in it. */
  readonly route: string;
}

function span(name: string, help: string, kind: 1 | 2 = 1): SpanDefinition {
  return { name, help, kind };
}

function counter(
  name: string,
  unit: string,
  help: string,
  attributes: Readonly<Record<string, string>> = {},
): MetricDefinition {
  return { name, kind: 'counter', unit, help, attributes };
}

function gauge(
  name: string,
  unit: string,
  help: string,
  attributes: Readonly<Record<string, string>> = {},
): MetricDefinition {
  return { name, kind: 'gauge', unit, help, attributes };
}
