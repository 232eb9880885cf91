/**
 * Telling systemd how the service is: READY, RELOADING, STOPPING, STATUS, WATCHDOG, as sd_notify(3) does.
 *
 * One datagram to the unix socket that NOTIFY_SOCKET names. Node has no datagram sockets for unix
 * addresses and a process of `systemd-notify` would not be the main process, so it is two system calls. It
 * never blocks and never fails the service: nobody but systemd waits for it. Without NOTIFY_SOCKET nothing
 * is sent.
 */
import { libc } from '../backend/libc-linux.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** struct sockaddr_un { sa_family_t sun_family; char sun_path[108]; } */
const FAMILY_BYTES = 2;
const PATH_BYTES_MAX = 108;

interface Calls {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly sendto: (
    fd: number,
    message: Buffer,
    length: number,
    flags: number,
    address: Buffer,
    addressLength: number,
  ) => number;
}

let calls: Calls | null = null;

function loadCalls(): Calls {
  calls ??= {
    socket: libc.func('int socket(int domain, int type, int protocol)'),
    sendto: libc.func(
      'long sendto(int fd, const void *message, size_t length, int flags, const void *address, uint32_t address_length)',
    ),
  };
  return calls;
}

export type NotifyState =
  | 'READY=1'
  | 'STOPPING=1'
  | 'WATCHDOG=1'
  | `RELOADING=1\nMONOTONIC_USEC=${bigint}`
  | `STATUS=${string}`;

export class SystemdNotifier {
  readonly #address: Buffer | null;
  #fd = -1;

  /** @param notifySocket the variable NOTIFY_SOCKET: a path, or `@` and an abstract name */
  constructor(notifySocket: string | undefined) {
    this.#address = addressOf(notifySocket);
  }

  /** False: nobody listens, or the datagram was not taken. */
  notify(...states: readonly NotifyState[]): boolean {
    if (this.#address === null) return false;
    const { socket, sendto } = loadCalls();
    if (this.#fd < 0) this.#fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (this.#fd < 0) return false;
    const message = Buffer.from(states.join('\n'), 'utf8');
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    const { length } = this.#address;
    return sendto(this.#fd, message, message.length, flags, this.#address, length) >= 0;
  }
}

/** Half of WATCHDOG_USEC, as systemd asks for; null: no watchdog, or one of another process. */
export function watchdogIntervalMs(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | null {
  const microseconds = Number(env.WATCHDOG_USEC);
  if (!Number.isSafeInteger(microseconds) || microseconds <= 0) return null;
  if (env.WATCHDOG_PID !== undefined && env.WATCHDOG_PID !== String(pid)) return null;
  return Math.max(1, Math.floor(microseconds / 2000));
}

function addressOf(notifySocket: string | undefined): Buffer | null {
  if (notifySocket === undefined || !/^[/@]./.test(notifySocket)) return null;
  const path = Buffer.from(notifySocket, 'utf8');
  if (path.length >= PATH_BYTES_MAX) return null;
  if (notifySocket.startsWith('@')) path[0] = 0;
  const family = Buffer.alloc(FAMILY_BYTES);
  family.writeUInt16LE(AF_UNIX);
  // A path ends with a NUL; an abstract name is exactly as long as it is.
  return Buffer.concat([family, path, path[0] === 0 ? Buffer.alloc(0) : Buffer.alloc(1)]);
}
