/**
 * Where the daemon of one user and one home is found: its socket, its lock, its log, its HTTP access.
 *
 * The socket lies in the runtime directory, or beside the data where there is none. Its directory is the
 * user's alone; a path that would not fit a socket's address gets a short one below /tmp, where the
 * directory is only used when it is a real one of ours.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';
import type { Environment, Home } from './home.ts';

/** `sun_path` has 108 bytes with its NUL. */
const SOCKET_PATH_BYTES_MAX = 104;

export interface DaemonPlace {
  readonly directory: string;
  readonly socket: string;
  readonly log: string;
  /** `{format, port, token}`: loopback HTTP, only when a harness was connected that needs it. */
  readonly httpRecord: string;
}

export function daemonPlace(home: Home, environment: Environment): DaemonPlace {
  const directory = placeDirectory(home, environment);
  return {
    directory,
    socket: path.join(directory, 'daemon.sock'),
    log: path.join(home.data, 'daemon.log'),
    httpRecord: path.join(home.data, 'daemon-http.json'),
  };
}

/** @throws GhostsnapError NOT_PERMITTED when the directory is somebody else's */
export function makePlace(place: DaemonPlace, uid: number): void {
  fs.mkdirSync(place.directory, { recursive: true, mode: 0o700 });
  const found = fs.lstatSync(place.directory);
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0) return;
  throw new GhostsnapError('NOT_PERMITTED', `Others may enter ${place.directory}`, {
    hint: 'Remove it, or make it a directory of yours with mode 0700.',
    data: { path: place.directory },
  });
}

function placeDirectory(home: Home, { env, uid }: Environment): string {
  const name = createHash('sha256').update(home.data).digest('hex').slice(0, 12);
  const runtime = env.XDG_RUNTIME_DIR;
  const wanted =
    runtime !== undefined && path.isAbsolute(runtime) && fs.existsSync(runtime)
      ? path.join(runtime, 'ghostsnap', name)
      : path.join(home.data, 'run');
  const bytes = Buffer.byteLength(path.join(wanted, 'daemon.sock'));
  return bytes <= SOCKET_PATH_BYTES_MAX ? wanted : `/tmp/ghostsnap-${uid}-${name}`;
}
