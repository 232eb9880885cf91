/**
 * The daemon: one process a user and home that keeps engines open for hooks.
 *
 * It owns nothing that cannot be lost: it may be killed at any instant, and whoever asks next starts it
 * again or does without. A lock that dies with it says that it runs; a socket file without that lock is
 * left over and is replaced. It ends by itself when nobody has asked for a while.
 */
import fs from 'node:fs';
import type http from 'node:http';
import { handleHook } from '../agent/handle-hook.ts';
import { GhostsnapError } from '../core/errors.ts';
import { METRIC } from '../core/telemetry-names.ts';
import { TRACE_VARIABLES } from '../core/trace-context.ts';
import { createFileLocks } from '../locks/file-locks.ts';
import { AgentHost } from './agent-host.ts';
import { badConfig, configFile, readConfigSection } from './config.ts';
import { readHttpAccess } from './daemon-http.ts';
import { DaemonLog } from './daemon-log.ts';
import { type DaemonPlace, daemonPlace, makePlace } from './daemon-place.ts';
import { createDaemonServer, type DaemonRoutes } from './daemon-server.ts';
import { startProcessTelemetry } from './daemon-telemetry.ts';
import { type Environment, type Home, resolveHome } from './home.ts';
import { listPoolRecords } from './registry.ts';
import { parseTelemetryConfig, type TelemetryConfig } from './telemetry-config.ts';

/** Half an hour: shorter than a lunch break's worth of memory, longer than a model thinks. */
const IDLE_MS = 30 * 60_000;

export interface RunDaemonOptions {
  readonly environment: Environment;
  readonly version: string;
  /** Ends it as a signal does. */
  readonly signal: AbortSignal;
}

/** @returns when it has ended; at once when another one runs */
export async function runDaemon(options: RunDaemonOptions): Promise<'ended' | 'runs-already'> {
  const environment = withoutTrace(options.environment);
  const home = resolveHome(environment);
  const place = daemonPlace(home, environment);
  makePlace(place, environment.uid);
  using locks = createFileLocks(place.directory);
  using lock = await tryLock(locks);
  if (lock === null) return 'runs-already';
  const log = new DaemonLog(place.log);
  const onError: DaemonRoutes['onError'] = (error, trace) => log.error(error, trace);
  await using watched = await startProcessTelemetry({
    config: loadTelemetryConfig(home),
    ...{ service: 'ghostsnap-daemon', version: options.version, routes: [] },
    poolRoots: () => listPoolRecords(home).map(({ root }) => root),
    onSample: (telemetry) => telemetry.gauge(METRIC.workspacesOpen, host.openWorkspaces),
    onTrouble: (text) => log.write('warn', text),
  });
  const { telemetry } = watched;
  await using host = new AgentHost({ environment, watch: 'on', onError });
  const idle = new IdleTimer(idleMsOf(environment), options.signal);
  const startedAt = new Date().toISOString();
  const routes: DaemonRoutes = {
    hook: async (request) => {
      using _busy = idle.busy();
      const reply = await handleHook({ ...request, telemetry }, host);
      return reply.stdout;
    },
    status: () => {
      host.flushNotes();
      return {
        ...{ pid: process.pid, version: options.version, startedAt, socket: place.socket },
        ...{ openWorkspaces: host.openWorkspaces, hooks: idle.served },
        httpPort: readHttpAccess(place)?.port ?? null,
      };
    },
    stop: () => idle.end(),
    onError,
  };
  const servers = await listen(place, routes, environment.uid, log);
  log.write('info', 'started', { pid: process.pid, socket: place.socket });
  await idle.ended;
  await Promise.all(servers.map(closeServer));
  fs.rmSync(place.socket, { force: true });
  log.write('info', 'ended', { pid: process.pid, hooks: idle.served });
  return 'ended';
}

/** @throws GhostsnapError BAD_CONFIG */
function loadTelemetryConfig(home: Home): TelemetryConfig {
  const errors: string[] = [];
  const config = parseTelemetryConfig(readConfigSection(home, 'telemetry'), errors);
  if (errors.length > 0) throw badConfig(configFile(home), errors);
  return config;
}

/** It was started by one hook and serves others: that one's trace is not theirs. */
function withoutTrace(environment: Environment): Environment {
  const env = { ...environment.env };
  for (const name of TRACE_VARIABLES) delete env[name];
  return { ...environment, env };
}

async function tryLock(locks: ReturnType<typeof createFileLocks>): Promise<Disposable | null> {
  try {
    return await locks.acquire('daemon', { waitMs: 0, purpose: 'daemon' });
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'LOCKED') return null;
    throw error;
  }
}

/** The socket opens last: who can connect to it finds everything else open, too. */
async function listen(
  place: DaemonPlace,
  routes: DaemonRoutes,
  uid: number,
  log: DaemonLog,
): Promise<readonly http.Server[]> {
  const loopback = await listenOnLoopback(place, routes, log);
  fs.rmSync(place.socket, { force: true });
  const local = createDaemonServer(routes, { uid });
  // The mode is right from the first instant: a umask, not a chmod afterwards.
  const umask = process.umask(0o177);
  try {
    await listening(local, { path: place.socket });
  } catch (error) {
    loopback?.close();
    throw error;
  } finally {
    process.umask(umask);
  }
  return loopback === null ? [local] : [local, loopback];
}

/** null where no harness asked for it, or where the port is taken by now: the socket serves then. */
async function listenOnLoopback(
  place: DaemonPlace,
  routes: DaemonRoutes,
  log: DaemonLog,
): Promise<http.Server | null> {
  const access = readHttpAccess(place);
  if (access === null) return null;
  const server = createDaemonServer(routes, { token: access.token });
  try {
    await listening(server, { host: '127.0.0.1', port: access.port });
    return server;
  } catch (error) {
    // Hooks over the socket go on; `hook status` shows the others.
    log.error(error);
    return null;
  }
}

function listening(
  server: http.Server,
  at: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(at, () => {
    server.off('error', reject);
    resolve();
  });
  return promise;
}

function closeServer(server: http.Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  return promise;
}

/** `GHOSTSNAP_DAEMON_IDLE_MS`: for tests, and for those who want it gone sooner. */
function idleMsOf({ env }: Environment): number {
  const given = Number(env.GHOSTSNAP_DAEMON_IDLE_MS);
  return Number.isSafeInteger(given) && given > 0 ? given : IDLE_MS;
}

/** Ends when nothing has been served for a while, or when it is told to; never during a hook. */
class IdleTimer {
  readonly ended: Promise<void>;
  served = 0;
  readonly #idleMs: number;
  readonly #end: () => void;
  #serving = 0;
  #isEnding = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(idleMs: number, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    this.#idleMs = idleMs;
    signal.addEventListener('abort', () => this.end(), { once: true });
    if (signal.aborted) this.end();
    this.#restart();
  }

  busy(): Disposable {
    this.#serving += 1;
    this.served += 1;
    this.#restart();
    return {
      [Symbol.dispose]: () => {
        this.#serving -= 1;
        if (this.#isEnding) this.end();
        else this.#restart();
      },
    };
  }

  end(): void {
    this.#isEnding = true;
    if (this.#serving > 0) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#end();
  }

  #restart(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#isEnding) return;
    this.#timer = setTimeout(
      () => (this.#serving > 0 ? this.#restart() : this.end()),
      this.#idleMs,
    );
  }
}
