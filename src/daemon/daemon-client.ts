/**
 * Talking to the daemon, and starting it.
 *
 * A hook never waits for a start: the call that finds no daemon starts one for the next, and does its
 * own work. Nothing heavy is imported here: this is what a hook that runs Node pays for.
 */
import { spawn } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { GhostsnapError } from '../core/errors.ts';
import { HOOK_REPLY_MS } from '../core/limits.ts';
import type { DaemonPlace } from './daemon-place.ts';
import type { Environment } from './home.ts';
import { PROGRAM } from './own-files.ts';

const START_WAIT_MS = 10_000;
const START_POLL_MS = 20;

export interface DaemonReply {
  readonly status: number;
  readonly body: string;
}

export interface DaemonRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * null: no daemon answers at the socket, or it died before it answered.
 * @throws GhostsnapError LOCKED when there is one that gives no answer in HOOK_REPLY_MS: it hangs
 */
export function askDaemon(place: DaemonPlace, request: DaemonRequest): Promise<DaemonReply | null> {
  const { promise, resolve, reject } = Promise.withResolvers<DaemonReply | null>();
  const outgoing = http.request(
    {
      ...{ socketPath: place.socket, method: request.method, path: request.path },
      ...{ timeout: HOOK_REPLY_MS, agent: false, headers: { ...request.headers } },
    },
    (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() });
      });
      response.on('error', () => resolve(null));
    },
  );
  outgoing.on('timeout', () => {
    reject(stuck(place));
    outgoing.destroy();
  });
  outgoing.on('error', () => resolve(null));
  outgoing.end(request.body);
  return promise;
}

function stuck(place: DaemonPlace): GhostsnapError {
  return new GhostsnapError('LOCKED', `The daemon gave no answer at ${place.socket}`, {
    hint: 'It hangs, or the disk does. "ghostsnap daemon status" names its process: end that one.',
  });
}

/** Starts one in the background; one that runs already makes the new one end at once. */
export function startDaemonUnwatched(environment: Environment): void {
  const child = spawn(process.execPath, [PROGRAM, 'daemon', 'run'], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
    // Blocking ioctls run on libuv's threads: snapshots of many workspaces share a commit there.
    env: { UV_THREADPOOL_SIZE: '32', ...environment.env },
  });
  // Without a listener a failed start would end the caller, which does its work without a daemon.
  child.on('error', (error) => {
    process.emitWarning(`ghostsnap could not start its daemon: ${error.message}`);
  });
  child.unref();
}

/** @throws GhostsnapError LOCKED when none answers in time */
export async function ensureDaemon(
  place: DaemonPlace,
  environment: Environment,
): Promise<'started' | 'ran-already'> {
  if (await answers(place)) return 'ran-already';
  startDaemonUnwatched(environment);
  for (let waitedMs = 0; waitedMs < START_WAIT_MS; waitedMs += START_POLL_MS) {
    await pause(START_POLL_MS);
    if (await answers(place)) return 'started';
  }
  throw new GhostsnapError('LOCKED', `The daemon did not answer at ${place.socket}`, {
    hint: 'See why with "ghostsnap daemon logs".',
  });
}

function answers(place: DaemonPlace): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = net.connect({ path: place.socket });
  socket.once('connect', () => {
    socket.destroy();
    resolve(true);
  });
  socket.once('error', () => resolve(false));
  return promise;
}

function pause(ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, ms);
  return promise;
}
