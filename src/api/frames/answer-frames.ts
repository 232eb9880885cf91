/**
 * From a frame to the host's answer: the same rule, the same parsing and the same host as a request has.
 *
 * Every frame is checked on its own, as a connection's principal may use one route and not another. What
 * an operation throws becomes the problem that HTTP would carry; what is no GhostsnapError is a defect,
 * which is told to `onDefect` and not to the peer.
 */
import { GhostsnapError } from '../../core/errors.ts';
import { isWorkspaceId } from '../../core/ids.ts';
import { parseTraceContext, type TraceContext } from '../../core/trace-context.ts';
import type { Telemetry } from '../../engine/ports.ts';
import type { ServiceHost } from '../../service/host.ts';
import { authorize, type ProtectedRoute } from '../access/authorize.ts';
import type { AnswerBudget } from '../door/answer-budget.ts';
import { invoke } from '../invoke.ts';
import type { Principal } from '../principal.ts';
import { problemOf } from '../problem-of.ts';
import { ROUTES, ruleOf } from '../routes.ts';
import type { OperationName } from '../schema/operations.ts';
import type { Frame, FrameRefusal } from './parse-frame.ts';
import type { FrameAnswer, FrameService } from './serve-frames.ts';

export interface AnswerFramesOptions {
  readonly host: ServiceHost;
  /** Whose connection it is; null: nobody's, and every frame is refused. */
  readonly principal: Principal | null;
  readonly telemetry: Telemetry;
  readonly answers: AnswerBudget;
  readonly stopping: AbortSignal;
  readonly onRefusal: (operation: string, error: GhostsnapError) => void;
  readonly onDefect: (error: unknown, trace: TraceContext | undefined) => void;
}

interface FramedRoute {
  readonly operation: OperationName;
  readonly status: number;
  /** In the table of routes. */
  readonly index: number;
  readonly rule: ProtectedRoute;
}

/** All but the stream of events, which has a stream of its own. */
const FRAMED: ReadonlyMap<string, FramedRoute> = new Map(
  ROUTES.flatMap((route, index) => {
    const { operation, status } = route;
    if (operation === 'followEvents') return [];
    return [[operation, { operation, status, index, rule: ruleOf(route) }]];
  }),
);

export function answerFrames(options: AnswerFramesOptions): FrameService {
  return {
    answer: (frame, gone) => answer(options, frame, gone),
    refuse: ({ error }: FrameRefusal) => problemAnswer(error, undefined),
    hold: (bytes, cut) => options.answers.hold(tenantOfPeer(options), bytes, cut),
    noRoomFor: (bytes) => noRoomFor(options, bytes),
    stopping: options.stopping,
  };
}

/** Nobody has a tenant of no name: whatever it asks is refused, and refusals wait to be read too. */
function tenantOfPeer({ principal }: AnswerFramesOptions): string {
  return principal?.tenant ?? '';
}

function noRoomFor(options: AnswerFramesOptions, bytes: number): FrameAnswer | null {
  try {
    options.answers.assertRoom(tenantOfPeer(options), bytes);
    return null;
  } catch (error) {
    return problemAnswer(error, undefined);
  }
}

async function answer(
  options: AnswerFramesOptions,
  frame: Frame,
  gone: AbortSignal,
): Promise<FrameAnswer> {
  const { telemetry } = options;
  const startNs = telemetry.nowNs();
  const open = telemetry.begin(parseTraceContext({ traceparent: frame.trace }) ?? undefined);
  const route = FRAMED.get(frame.operation);
  let answered: FrameAnswer;
  try {
    if (route === undefined) throw unknownOperation();
    using waiting = whileWaitedFor(frame, gone);
    const { deadline, signal } = waiting;
    const context = { trace: open, deadline, signal, idempotencyKey: frame.key };
    const principal = admit(options, route, frame.input);
    options.answers.assertRoom(principal.tenant);
    const { operation } = route;
    const asked = { principal, operation, input: frame.input, context };
    answered = { status: route.status, output: await invoke(options.host, asked) };
  } catch (error) {
    if (!(error instanceof GhostsnapError)) options.onDefect(error, open);
    answered = problemAnswer(error, open?.traceId);
  }
  if (route !== undefined) telemetry.request(route.index, answered.status, open, startNs);
  return answered;
}

function admit(options: AnswerFramesOptions, { rule }: FramedRoute, input: unknown): Principal {
  const { host, principal } = options;
  try {
    authorize(principal, rule, tenantOf(host, input));
  } catch (error) {
    if (error instanceof GhostsnapError) options.onRefusal(rule.operation, error);
    throw error;
  }
  return principal;
}

/** What is no id is nobody's: the schema will say so. */
function tenantOf(host: ServiceHost, input: unknown): string | null {
  if (typeof input !== 'object' || input === null || !('workspace' in input)) return null;
  const { workspace } = input;
  if (typeof workspace !== 'string' || !isWorkspaceId(workspace)) return null;
  return host.tenantOf(workspace);
}

interface Waiting extends Disposable {
  readonly deadline: number | undefined;
  readonly signal: AbortSignal;
}

/** Most frames have no deadline, and make nothing. */
function whileWaitedFor({ deadlineMs }: Frame, gone: AbortSignal): Waiting {
  if (deadlineMs === undefined) {
    return { deadline: undefined, signal: gone, [Symbol.dispose]() {} };
  }
  const abort = new AbortController();
  const onGone = (): void => abort.abort();
  gone.addEventListener('abort', onGone, { once: true });
  const timer = setTimeout(() => abort.abort(tooLate()), deadlineMs);
  return {
    deadline: performance.now() + deadlineMs,
    signal: abort.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      gone.removeEventListener('abort', onGone);
    },
  };
}

function problemAnswer(error: unknown, trace: string | undefined): FrameAnswer {
  const { problem, retryAfterS } = problemOf(error, trace);
  return { status: problem.status, problem, ...(retryAfterS === null ? {} : { retryAfterS }) };
}

function unknownOperation(): GhostsnapError {
  return new GhostsnapError('ROUTE_NOT_FOUND', 'No operation that a frame can ask has this name.', {
    hint: 'The document openapi.json of the service lists the operations.',
  });
}

function tooLate(): GhostsnapError {
  return new GhostsnapError('DEADLINE_EXCEEDED', 'The deadline of the frame has passed.', {
    hint: 'Ask again with more time; a change is repeated with the same key.',
  });
}
