/**
 * The API over HTTP: fastify on HTTP/1.1 for the unix socket and HTTP/2 for TLS, the same routes on both.
 *
 * The order for each request: the head is judged, then who asks and whether the route is theirs, and only
 * then is the body read, within bounds and as strict JSON. Every route carries its rule; one that has none
 * is refused to everybody, and what is no route is only told to somebody. The input is parsed by its
 * schema and the host is asked. Whatever is thrown becomes problem details; what is no GhostsnapError is
 * a defect, which is told to `onDefect` and not to the caller.
 */

import type http from 'node:http';
import type { RequestListener } from 'node:http';
import type http2 from 'node:http2';
import type { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { GhostsnapError } from '../../core/errors.ts';
import type { WorkspaceId } from '../../core/ids.ts';
import { isWorkspaceId } from '../../core/ids.ts';
import { METRIC } from '../../core/telemetry-names.ts';
import { parseTraceContext, type TraceContext } from '../../core/trace-context.ts';
import type { Telemetry } from '../../engine/ports.ts';
import type { CallContext } from '../../service/call-context.ts';
import type { ServiceHost } from '../../service/host.ts';
import { authorize, type ProtectedRoute } from '../access/authorize.ts';
import type { AnswerBudget } from '../door/answer-budget.ts';
import { BodyReader, type BodyReading } from '../door/read-body.ts';
import type { RefusalPace } from '../door/refusal-pace.ts';
import { distrust, type HeadRefusal, judgeRequest } from '../door/request-head.ts';
import { parseStrictJson, REQUEST_BODY } from '../door/strict-json.ts';
import { invoke, parseFollowEvents } from '../invoke.ts';
import type { Principal } from '../principal.ts';
import { PLAIN_ROUTES, type PlainRoute, ROUTES, type Route, ruleOf } from '../routes.ts';
import type { OperationName } from '../schema/operations.ts';
import { lastEventId, writeEvents } from './event-stream.ts';
import { addFrames } from './frame-stream.ts';
import { ofFastify, refusedHead, replyProblem } from './reply-problem.ts';
import { requestContext } from './request-context.ts';
import { inputReader } from './request-input.ts';
import { StreamPlaces } from './stream-places.ts';
import { noteRequest, refuseUnparsed } from './unparsed-request.ts';

export type HttpRequest = http.IncomingMessage | http2.Http2ServerRequest;

export interface ApiServerOptions {
  readonly host: ServiceHost;
  /** Makes the server that listens: HTTP/1.1 on a socket, HTTP/2 on TLS. */
  readonly makeServer: (listener: RequestListener) => http.Server | http2.Http2SecureServer;
  /** Who asks, as the connection proves it; null: nobody. */
  readonly principalOf: (request: HttpRequest) => Principal | null;
  readonly telemetry: Telemetry;
  /** The document of this version, as text. */
  readonly openApi: string;
  /** What was answered and not taken yet, over all listeners. */
  readonly answers: AnswerBudget;
  /** Of all listeners as well. */
  readonly refusals: RefusalPace;
  /** Aborts when the service stops: streams end, and connections are told to go elsewhere. */
  readonly stopping: AbortSignal;
  readonly onRefusal: (refusal: ApiRefusal) => void;
  readonly onDefect: (error: unknown, trace: TraceContext | undefined) => void;
}

export interface ApiRefusal {
  readonly principal: Principal | null;
  readonly operation: string;
  readonly error: GhostsnapError;
  readonly request: HttpRequest;
}

/** Streams of events that are open at once; each holds a connection's buffers. */
const EVENT_STREAMS = { of: 'events', max: 2048, ofTenantMax: 1024 } as const;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route; one without it is refused to everybody. */
    rule?: ProtectedRoute;
  }
}

interface Asking {
  principal: Principal | null;
}

const asking = new WeakMap<FastifyRequest, Asking>();

export function createApiServer(options: ApiServerOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: REQUEST_BODY.bytesMax,
    serverFactory: (listener) => options.makeServer(listener as RequestListener) as http.Server,
    // The door refused what has two spellings; a path is compared as it came.
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, maxParamLength: 1024 },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // Paths that the router cannot read get to no hook: the head is judged here all the same.
    frameworkErrors: (error, request, reply) =>
      void refuseUnrouted(error, { request, reply, options }),
    clientErrorHandler: refuseUnparsed,
  });
  app.addHook('onRequest', async (request, reply) => judge(request, reply, options));
  app.removeAllContentTypeParsers();
  const bodies = new BodyReader();
  app.addContentTypeParser('application/json', async (request: FastifyRequest, body: Readable) =>
    // Only the body of somebody is read: whoever is nobody was refused by the head.
    parseBody(await readWhole(bodies, body, asking.get(request)?.principal?.tenant ?? '')),
  );
  app.setErrorHandler(async (error: Error, request, reply) =>
    fail(error, { request, reply, options }),
  );
  app.setNotFoundHandler(async (request, reply) =>
    replyProblem(reply, noRoute(request), { trace: traceOf(request)?.traceId }),
  );
  for (const [index, route] of ROUTES.entries()) addRoute(app, { route, index, options });
  addFrames(app, options, (request) => asking.get(request)?.principal ?? null);
  addPlain(app, PLAIN_ROUTES.openApi, async (reply) =>
    reply.header('content-type', 'application/json').send(options.openApi),
  );
  addPlain(app, PLAIN_ROUTES.health, async (reply) =>
    reply.code(options.stopping.aborted ? 503 : 200).send({ stopping: options.stopping.aborted }),
  );
  return app;
}

function addPlain(
  app: FastifyInstance,
  route: PlainRoute,
  answer: (reply: FastifyReply) => Promise<FastifyReply>,
): void {
  const { method, path: url } = route;
  const config = { rule: ruleOf(route) };
  app.route({ method, url, config, handler: async (_request, reply) => await answer(reply) });
}

async function judge(
  request: FastifyRequest,
  reply: FastifyReply,
  options: ApiServerOptions,
): Promise<FastifyReply | undefined> {
  const { principalOf, telemetry, stopping } = options;
  if (request.raw.httpVersionMajor === 1) noteRequest(request.raw, reply.raw);
  const refusal = judgeRequest(request.raw, REQUEST_BODY.bytesMax);
  if (refusal !== null) {
    telemetry.count(METRIC.requestsRefused, 1);
    await options.refusals.wait(principalOf(request.raw)?.id ?? '');
    return refuse(refusal, request, reply);
  }
  // A connection that stays is told to go elsewhere with its next request.
  if (stopping.aborted && request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
  const principal = principalOf(request.raw);
  asking.set(request, { principal });
  // Before the body is read: a body costs its reader, and nobody else's is read.
  admit(options, { request, principal, rule: ruleFor(request), tenant: null });
  return undefined;
}

const UNKNOWN = ruleOf(PLAIN_ROUTES.unknown);

function ruleFor({ is404, method, routeOptions }: FastifyRequest): ProtectedRoute {
  if (is404) return UNKNOWN;
  const { config, url = '' } = routeOptions;
  return config.rule ?? { operation: `${method} ${url}` };
}

/** @throws GhostsnapError NOT_PERMITTED, WORKSPACE_NOT_FOUND; it was told to `onRefusal` */
function admit(
  { onRefusal }: ApiServerOptions,
  asked: {
    readonly request: FastifyRequest;
    readonly principal: Principal | null;
    readonly rule: ProtectedRoute;
    readonly tenant: string | null;
  },
): Principal {
  const { request, principal, rule, tenant } = asked;
  try {
    authorize(principal, rule, tenant);
  } catch (error) {
    const { operation } = rule;
    if (error instanceof GhostsnapError) {
      onRefusal({ principal, operation, error, request: request.raw });
    }
    throw error;
  }
  return principal;
}

function refuse(refusal: HeadRefusal, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (request.raw.httpVersionMajor === 1) reply.header('connection', 'close');
  const { status } = refusal;
  return replyProblem(reply, refusedHead(refusal), { trace: undefined, status });
}

/** What follows it on a connection of HTTP/1.1 is not believed either, as behind any refused head. */
function refuseUnrouted(error: Error, { request, reply, options }: Failed): FastifyReply {
  options.telemetry.count(METRIC.requestsRefused, 1);
  const judged = judgeRequest(request.raw, REQUEST_BODY.bytesMax);
  if (judged !== null) return refuse(judged, request, reply);
  distrust(request.raw);
  const isTooLong = error instanceof Error && 'statusCode' in error && error.statusCode === 414;
  const refusal: HeadRefusal = isTooLong
    ? { status: 414, why: 'a part of its path is too long' }
    : { status: 400, why: 'its path is not in UTF-8' };
  return refuse(refusal, request, reply);
}

interface RouteParts {
  readonly route: Route;
  readonly index: number;
  readonly options: ApiServerOptions;
}

function addRoute(app: FastifyInstance, { route, index, options }: RouteParts): void {
  const { host, telemetry } = options;
  const readInput = inputReader(route);
  const rule = ruleOf(route);
  app.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    config: { rule },
    handler: async (request, reply) => {
      const startNs = telemetry.nowNs();
      using context = requestContext(request.headers, reply);
      const open = telemetry.begin(context.trace);
      const { params, query, body } = request;
      const input = readInput({ params, query, body });
      const workspace = workspaceIn(params);
      const tenant = workspace === null ? null : tenantOf(host, workspace);
      const asker = asking.get(request)?.principal ?? null;
      const principal = admit(options, { request, principal: asker, rule, tenant });
      options.answers.assertRoom(principal.tenant);
      if (route.operation === 'followEvents') {
        return await follow({ request, reply, options, principal, input, context });
      }
      const operation: OperationName = route.operation;
      try {
        const asked = { principal, operation, input, context: { ...context, trace: open } };
        const text = JSON.stringify(await invoke(host, asked));
        if (route.effect === 'reads') options.answers.assertRoom(principal.tenant, text.length);
        telemetry.request(index, route.status, open, startNs);
        holdUntilTaken(reply, principal, { bytes: text.length, answers: options.answers });
        return reply.code(route.status).header('content-type', JSON_TYPE).send(text);
      } catch (error) {
        const { status } = await answerTo(error, { request, reply, options, open });
        telemetry.request(index, status, open, startNs);
        return reply;
      }
    },
  });
}

const JSON_TYPE = 'application/json; charset=utf-8';

function holdUntilTaken(
  { raw }: FastifyReply,
  { tenant }: Principal,
  { bytes, answers }: { readonly bytes: number; readonly answers: AnswerBudget },
): void {
  // Nobody takes it any more, and nothing will say so a second time.
  const isGone = raw.destroyed || raw.closed;
  if (isGone) return;
  raw.once(
    'close',
    answers.hold(tenant, bytes, () => raw.destroy()),
  );
}

function workspaceIn(params: unknown): string | null {
  if (typeof params !== 'object' || params === null || !('workspace' in params)) return null;
  return String(params.workspace);
}

/** What is no id is nobody's: the schema will say so. */
function tenantOf(host: ServiceHost, workspace: string): string | null {
  return isWorkspaceId(workspace) ? host.tenantOf(workspace as WorkspaceId) : null;
}

const eventStreams = new StreamPlaces(EVENT_STREAMS);

async function follow(asked: {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: ApiServerOptions;
  readonly principal: Principal;
  readonly input: unknown;
  readonly context: CallContext;
}): Promise<FastifyReply> {
  const { request, reply, options, principal } = asked;
  const signal = AbortSignal.any([asked.context.signal, options.stopping]);
  const context = { ...asked.context, signal };
  const input = parseFollowEvents(asked.input);
  const after = lastEventId(request.headers['last-event-id']) ?? input.after;
  using _place = eventStreams.take(principal.tenant);
  const events = options.host.followEvents(principal, { ...input, after }, context);
  const hold = (bytes: number): (() => void) =>
    options.answers.hold(principal.tenant, bytes, () => reply.raw.destroy());
  reply.hijack();
  await writeEvents(reply.raw, events, { signal, hold });
  return reply;
}

interface Failed {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly options: ApiServerOptions;
  /** The span of the request; left out before there is one: then it is its caller's. */
  readonly open?: TraceContext | undefined;
}

async function fail(error: Error, failed: Failed): Promise<FastifyReply> {
  await answerTo(error, failed);
  return failed.reply;
}

async function answerTo(
  error: unknown,
  { request, reply, options, open }: Failed,
): Promise<{ readonly status: number }> {
  const trace = open ?? traceOf(request);
  const ofBody = error instanceof Error ? ofFastify(error) : null;
  const known = error instanceof GhostsnapError ? error : (ofBody?.error ?? null);
  if (known === null) options.onDefect(error, trace);
  else if (known.kind === 'throttled' || known.code === 'OVERLOADED') {
    options.telemetry.count(METRIC.requestsShed, 1);
  }
  if (known !== null && isMistake(known)) {
    await options.refusals.wait(asking.get(request)?.principal?.id ?? '');
  }
  if (reply.sent || reply.raw.headersSent) return { status: reply.raw.statusCode };
  await replyProblem(reply, known ?? error, { trace: trace?.traceId, status: ofBody?.status });
  return { status: reply.statusCode };
}

/** What the caller could have known: a caller that looks for what may not be there makes none. */
function isMistake({ kind, code }: GhostsnapError): boolean {
  return kind === 'usage' || kind === 'denied' || code === 'ROUTE_NOT_FOUND';
}

/** @throws GhostsnapError BAD_ARGUMENT, TOO_MANY_REQUESTS, OVERLOADED, INTERRUPTED */
async function readWhole(bodies: BodyReader, body: Readable, tenant: string): Promise<Buffer> {
  let reading: BodyReading;
  try {
    reading = await bodies.read(body, tenant);
  } catch (error) {
    throw new GhostsnapError('INTERRUPTED', 'The request ended before its body.', { cause: error });
  }
  if (reading.ok) return reading.bytes;
  const { status, why } = reading;
  throw status === 429 || status === 503
    ? new GhostsnapError(
        status === 429 ? 'TOO_MANY_REQUESTS' : 'OVERLOADED',
        `The request was refused: ${why}.`,
        {
          hint: 'Nothing was done: come back later.',
          data: { retryAfterMs: 1000 },
        },
      )
    : Object.assign(new Error(why), { statusCode: status });
}

/** An empty body is no body: most changes have fields in their path alone. */
function parseBody(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  return parseStrictJson(body, REQUEST_BODY, {
    subject: 'The body',
    hint: 'Send one JSON object; nothing was done.',
  });
}

function noRoute({ method, url }: FastifyRequest): GhostsnapError {
  const [path = ''] = url.split('?');
  return new GhostsnapError('ROUTE_NOT_FOUND', `There is no ${method} ${path.slice(0, 200)}`, {
    hint: 'GET /openapi.json lists the routes.',
  });
}

function traceOf({ headers }: FastifyRequest): TraceContext | undefined {
  const { traceparent } = headers;
  return parseTraceContext({ traceparent }) ?? undefined;
}
