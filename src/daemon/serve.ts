/**
 * The service, put together: configuration, pools, host, listeners, signals, and a stop that drains.
 *
 * Order at the start: everything that can be wrong is found before the first listener; what a crash left
 * is ended before the first request. Order at the stop: no new work, what is under way ends, streams are
 * closed, then engines, then pools. It may be killed at any instant: what it has acknowledged is on disk.
 */
import fs from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import { AuditLog, type AuditRefusal } from '../api/access/audit-log.ts';
import { auditTurn, auditTurns } from '../api/audited-host.ts';
import { AnswerBudget } from '../api/door/answer-budget.ts';
import { RefusalPace } from '../api/door/refusal-pace.ts';
import { openApiText } from '../api/openapi.ts';
import { LOCAL_TENANT } from '../api/principal.ts';
import { ROUTES } from '../api/routes.ts';
import {
  type ApiRefusal,
  type ApiServerOptions,
  createApiServer,
} from '../api/server/api-server.ts';
import { GhostsnapError } from '../core/errors.ts';
import { METRIC } from '../core/telemetry-names.ts';
import { logIds, parseTraceContext } from '../core/trace-context.ts';
import type { Telemetry } from '../engine/ports.ts';
import { createFileLocks } from '../locks/file-locks.ts';
import type { AnswerStore } from '../service/answer-store.ts';
import type { ServiceHost } from '../service/host.ts';
import { DEFAULT_LANES, type LaneBounds } from '../service/lanes.ts';
import type { Ledger } from '../service/ledger.ts';
import type { Asked } from '../service/placed-work.ts';
import {
  EngineServiceHost,
  type HostLimits,
  type ServiceHostOptions,
} from '../service/service-host.ts';
import type { ServiceStep } from '../service/service-step.ts';
import { openAnswers } from '../service/sqlite-answers.ts';
import { openLedger } from '../service/sqlite-ledger.ts';
import type { TenantLimits } from '../service/tenant-quotas.ts';
import { readBootId } from './boot-id-linux.ts';
import { changedConfig } from './changed-config.ts';
import { type ProcessTelemetry, startProcessTelemetry } from './daemon-telemetry.ts';
import { type Environment, type Home, resolveHome } from './home.ts';
import { readPool } from './registry.ts';
import { SystemdNotifier, watchdogIntervalMs } from './sd-notify-linux.ts';
import { TlsListener } from './serve-tls.ts';
import { listenOnSocket, makeUnixServer, unixPrincipal } from './serve-unix.ts';
import { ServedWorkspaces } from './served-workspaces.ts';
import { loadServiceConfig, type ServiceConfig } from './service-config.ts';
import { ServiceLog } from './service-log.ts';

export interface ServeOptions {
  readonly environment: Environment;
  readonly configFile: string;
  readonly version: string;
  /** Ends the service, as SIGTERM does. */
  readonly stop: AbortSignal;
  /** Calls back whenever the configuration shall be read again, as SIGHUP asks. */
  readonly onReload: (reload: () => void) => void;
  /** Where the log's lines go. */
  readonly write: (line: string) => void;
  /** Called at each step that a crash may come after; for tests that kill it there. */
  readonly onStep?: (step: ServiceStep) => void;
}

/** What all listeners have together. */
type Shared = Pick<ApiServerOptions, 'telemetry' | 'answers' | 'refusals'>;

const MINUTE_MS = 60_000;

/** @returns when it has stopped @throws GhostsnapError BAD_CONFIG, LOCKED, POOL_NOT_MOUNTED, ... */
export async function serve(options: ServeOptions): Promise<void> {
  const { environment, configFile } = options;
  const home = resolveHome(environment);
  const log = new ServiceLog(options.write);
  const running = new Running({ options, home, log, config: loadServiceConfig(home, configFile) });
  using _only = await onlyService(home);
  await running.run();
}

/** One service a home: the ledger has one writer. */
async function onlyService(home: Home): Promise<Disposable> {
  const locks = createFileLocks(path.join(home.data, 'service'));
  try {
    const lock = await locks.acquire('serve', { waitMs: 0, purpose: 'serve' });
    return {
      [Symbol.dispose]: () => {
        lock[Symbol.dispose]();
        locks[Symbol.dispose]();
      },
    };
  } catch (error) {
    locks[Symbol.dispose]();
    throw error;
  }
}

interface RunningParts {
  readonly options: ServeOptions;
  readonly home: Home;
  readonly log: ServiceLog;
  readonly config: ServiceConfig;
}

class Running {
  readonly #parts: RunningParts;
  readonly #notifier: SystemdNotifier;
  readonly #stopping = new AbortController();
  readonly #tls: TlsListener | null;
  readonly #audit: AuditLog;
  #config: ServiceConfig;
  /** null: it does not serve yet. */
  #load: (() => ReturnType<EngineServiceHost['load']>) | null = null;

  constructor(parts: RunningParts) {
    this.#parts = parts;
    this.#config = parts.config;
    const { listen } = parts.config;
    this.#tls = listen === undefined ? null : new TlsListener(listen);
    this.#audit = new AuditLog({
      file: listen?.audit ?? path.join(parts.home.data, 'service', 'audit.log'),
      now: Date.now,
      onLost: (error) => this.#lostAudit(error),
    });
    this.#notifier = new SystemdNotifier(parts.options.environment.env.NOTIFY_SOCKET);
  }

  async run(): Promise<void> {
    const { options, home, log } = this.#parts;
    const { environment } = options;
    // First, so that the pools are opened with it.
    await using telemetry = await this.#startTelemetry();
    await using source = await ServedWorkspaces.open({
      ...{ home, environment, pools: this.#config.pools },
      adoptBelow: () => this.#config.adoptBelow,
      policy: () => this.#config.policy,
      onStep: options.onStep,
    });
    const ledger = openLedger(path.join(home.data, 'service', 'ledger.db'));
    await using host = this.#makeHost({ ledger, answers: this.#openAnswers(), source });
    this.#load = () => host.load();
    await host.recover();
    const count = welcomeRegistered(ledger, source);
    // After a ledger was lost that is all of them: nobody should have to find it out.
    if (count > 0)
      log.write('info', 'workspaces without an owner are the local tenant’s', { count });
    const audited = auditTurns(host, this.#audit, (error) => this.#lostAudit(error));
    using answers = new AnswerBudget(() => performance.now());
    const refusals = new RefusalPace({
      monotonicMs: () => performance.now(),
      perSecond: () => this.#config.refusalsPerSecond,
    });
    const shared = { telemetry: telemetry.telemetry, answers, refusals };
    const servers = await this.#listen(audited, shared);
    this.#warnOfCertificate();
    options.onReload(() => this.#reload(host));
    using _watchdog = this.#feedWatchdog();
    this.#notifier.notify('READY=1', 'STATUS=serving');
    const { pools, policy } = this.#config;
    log.write('info', 'serving', { pid: process.pid, pools, judging: judgingOf(policy) });
    const looking = this.#lookAtInherited(host);
    await aborted(options.stop);
    await this.#drain(host, servers);
    await looking;
    await this.#audit.close();
  }

  /** While it serves: the locks tell each request of what was not looked at yet. */
  async #lookAtInherited(host: EngineServiceHost): Promise<void> {
    const { log } = this.#parts;
    try {
      for (const looked of await host.lookAtInherited(this.#stopping.signal)) {
        const level = looked.left === 0 ? 'info' : 'warn';
        log.write(level, 'looked at what a service that died left', { ...looked });
      }
    } catch (error) {
      log.error('what a service that died left was not looked at', error);
    }
  }

  async #startTelemetry(): Promise<ProcessTelemetry> {
    const { log, options, home } = this.#parts;
    const { telemetry: config, pools } = this.#config;
    const roots = pools.flatMap((name) => readPool(home, name)?.root ?? []);
    return await startProcessTelemetry({
      ...{ config, service: 'ghostsnap', version: options.version },
      routes: ROUTES.map(({ method, path: route }) => ({ method, route })),
      poolRoots: () => roots,
      onSample: (telemetry) => this.#setGauges(telemetry),
      onTrouble: (text) => log.write('warn', text),
    });
  }

  #setGauges(telemetry: Telemetry): void {
    if (this.#load === null) return;
    const { openWorkspaces, waiting, background } = this.#load();
    telemetry.gauge(METRIC.workspacesOpen, openWorkspaces);
    telemetry.gauge(METRIC.queueBegin, waiting.call);
    telemetry.gauge(METRIC.queueLarge, waiting.turn + waiting.bulk);
    telemetry.gauge(METRIC.queueBackground, background);
  }

  #lostAudit(error: unknown): void {
    this.#parts.log.error('a line of the audit log was lost', error);
  }

  #openAnswers(): AnswerStore {
    const { home, log } = this.#parts;
    const file = path.join(home.data, 'service', 'answers.db');
    const { answers, forgotten } = openAnswers({ file, bootId: readBootId() });
    if (forgotten !== null) log.write('warn', `answers of before are forgotten: ${forgotten}`);
    return answers;
  }

  #makeHost(kept: Pick<ServiceHostOptions, 'ledger' | 'answers' | 'source'>): EngineServiceHost {
    const { log, options } = this.#parts;
    const { onStep } = options;
    return new EngineServiceHost({
      ...kept,
      monotonicMs: () => performance.now(),
      lanes: lanesOf(this.#config),
      poolCount: this.#config.pools.length,
      templateTenants: () => this.#config.templateTenants,
      tenantLimits: (tenant) => tenantLimitsOf(this.#config, tenant),
      judging: () => judgingOf(this.#config.policy),
      policyTurn: (asked, turn) => this.#auditPolicyTurn(asked, turn),
      limits: () => limitsOf(this.#config),
      onError: (error) => log.error('something failed in the background', error),
      ...(onStep === undefined ? {} : { onStep }),
    });
  }

  async #auditPolicyTurn<T>(
    { principal, input, context }: Asked<'endCall'>,
    turn: () => Promise<T>,
  ): Promise<T> {
    const log = { audit: this.#audit, onLost: (error: unknown) => this.#lostAudit(error) };
    const { workspace, call: target } = input;
    const about = { principal, operation: 'policyRollback', workspace, target };
    return await auditTurn(log, { ...about, trace: context.trace }, turn);
  }

  async #listen(host: ServiceHost, shared: Shared): Promise<FastifyInstance[]> {
    const { uid } = this.#parts.options.environment;
    const { socket, listen } = this.#config;
    const servers: FastifyInstance[] = [];
    if (socket !== null) {
      const local = this.#makeApi(host, shared, {
        makeServer: (listener) => makeUnixServer(listener, uid),
        principalOf: unixPrincipal,
      });
      await listenOnSocket(socket, (at) => local.listen(at));
      servers.push(local);
    }
    const tls = this.#tls;
    if (tls !== null && listen !== undefined) {
      const network = this.#makeApi(host, shared, {
        makeServer: (listener) => tls.makeServer(listener as unknown as Http2Listener),
        principalOf: (request) => tls.peerOf(request).principal,
      });
      await network.listen({ host: listen.host, port: listen.port });
      servers.push(network);
      const { port } = network.server.address() as AddressInfo;
      this.#parts.log.write('info', 'listening', { host: listen.host, port });
    }
    return servers;
  }

  #makeApi(
    host: ServiceHost,
    shared: Shared,
    listener: Pick<ApiServerOptions, 'makeServer' | 'principalOf'>,
  ): FastifyInstance {
    const { log } = this.#parts;
    return createApiServer({
      ...{ host, ...shared, stopping: this.#stopping.signal, ...listener },
      openApi: openApiText(),
      onRefusal: (refusal) => this.#audit.refused(auditEntryOf(refusal, this.#tls)),
      onDefect: (error, trace) => log.error('a request failed by a defect', error, logIds(trace)),
    });
  }

  /** What is wrong is said, and what was in force stays in force. */
  #reload(host: EngineServiceHost): void {
    const { home, log, options } = this.#parts;
    const usec = process.hrtime.bigint() / 1000n;
    this.#notifier.notify(`RELOADING=1\nMONOTONIC_USEC=${usec}`);
    try {
      const read = loadServiceConfig(home, options.configFile);
      const { inForce, changed, needRestart } = changedConfig(this.#config, read);
      if (read.listen !== undefined) this.#tls?.reload(read.listen);
      this.#config = inForce;
      host.resizeLanes(lanesOf(inForce));
      log.write('info', 'the configuration was read again', { changed });
      if (needRestart.length > 0) {
        log.write('warn', 'what changed here counts from the next start', { needRestart });
      }
      this.#warnOfCertificate();
    } catch (error) {
      if (!(error instanceof GhostsnapError)) throw error;
      log.error('the configuration was not taken', error);
    }
    this.#notifier.notify('READY=1');
  }

  #warnOfCertificate(): void {
    const warning = this.#tls?.warning(Date.now()) ?? null;
    if (warning !== null) this.#parts.log.write('warn', warning);
  }

  #feedWatchdog(): Disposable {
    const { env } = this.#parts.options.environment;
    const everyMs = watchdogIntervalMs(env, process.pid);
    if (everyMs === null) return { [Symbol.dispose]: () => undefined };
    // On the main thread's own loop: a loop that hangs is what the watchdog is for.
    const timer = setInterval(() => this.#notifier.notify('WATCHDOG=1'), everyMs);
    return { [Symbol.dispose]: () => clearInterval(timer) };
  }

  async #drain(host: EngineServiceHost, servers: readonly FastifyInstance[]): Promise<void> {
    const { log } = this.#parts;
    const { drainSeconds, socket } = this.#config;
    this.#notifier.notify('STOPPING=1');
    log.write('info', 'stopping', { drainSeconds });
    this.#stopping.abort();
    this.#tls?.drain();
    host.stopTaking();
    const cutOff = setTimeout(() => {
      log.write('warn', 'connections were cut off at the end of the time to drain');
      // Connections of HTTP/2 are cut off by their own grace.
      for (const { server } of servers) server.closeAllConnections?.();
    }, drainSeconds * 1000);
    await Promise.all(servers.map((server) => server.close()));
    clearTimeout(cutOff);
    if (socket !== null) fs.rmSync(socket, { force: true });
    log.write('info', 'stopped');
  }
}

/** Whether calls are judged is in the log: nobody should have to guess. */
function judgingOf(policy: ServiceConfig['policy']): 'on' | 'off' {
  return policy === undefined ? 'off' : 'on';
}

type Http2Listener = Parameters<TlsListener['makeServer']>[0];

function auditEntryOf(refusal: ApiRefusal, tls: TlsListener | null): AuditRefusal {
  const { principal, operation, error, request } = refusal;
  const claims = principal === null ? tls?.peerOf(request).id?.text : undefined;
  const remote = request.socket.remoteAddress;
  const { traceparent } = request.headers;
  const trace = parseTraceContext({ traceparent })?.traceId;
  const ofRole = error.code === 'WORKSPACE_NOT_FOUND' ? 'tenant' : 'role';
  return {
    ...{ event: 'refused', principal, operation, reason: principal === null ? 'nobody' : ofRole },
    ...(claims === undefined ? {} : { claims }),
    ...(remote === undefined ? {} : { remote }),
    ...(trace === undefined ? {} : { trace }),
  };
}

function lanesOf({ lanes }: ServiceConfig): LaneBounds {
  return {
    call: lanes.call ?? DEFAULT_LANES.call,
    read: lanes.read ?? DEFAULT_LANES.read,
    turn: lanes.turn ?? DEFAULT_LANES.turn,
    bulk: lanes.bulk ?? DEFAULT_LANES.bulk,
  };
}

/** A tenant's name is anything: also one that every object has. */
function tenantLimitsOf({ tenants }: ServiceConfig, tenant: string): TenantLimits | undefined {
  return Object.hasOwn(tenants, tenant) ? tenants[tenant] : tenants['*'];
}

function limitsOf({ workspaces, idempotency, arming }: ServiceConfig): HostLimits {
  return {
    arming,
    openMax: workspaces.openMax,
    openIdleMs: workspaces.idleMinutes * MINUTE_MS,
    answersKeptMs: idempotency.keepMinutes * MINUTE_MS,
    answersMax: idempotency.max,
  };
}

/** What the command line made belongs to whoever sits on the machine. */
function welcomeRegistered(ledger: Ledger, source: ServedWorkspaces): number {
  const createdAtMs = source.nowMs();
  const rows = source.registered().flatMap(({ id, path: where, pool, backend }) =>
    ledger.workspace(id) !== null
      ? []
      : {
          ...{ id, path: where, pool, backend, tenant: LOCAL_TENANT, name: null, template: null },
          ...{ status: 'active' as const, createdAtMs, request: '' },
        },
  );
  ledger.insertAll(rows);
  return rows.length;
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}
