/**
 * Who is at the other end of a unix socket: SO_PEERCRED, filled in by the kernel when it connected.
 *
 * Node gives no access to it; the descriptor comes from the socket's handle, which is not part of
 * Node's documented interface. Without one nobody is let in.
 */
import type { Socket } from 'node:net';
import koffi from 'koffi';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred { pid_t pid; uid_t uid; gid_t gid; } */
const UCRED_BYTES = 12;
const UID_OFFSET = 4;

type GetSockOpt = (
  fd: number,
  level: number,
  name: number,
  value: Buffer,
  length: Buffer,
) => number;

let getsockopt: GetSockOpt | null = null;

/** null: unknown, so not to be trusted. */
export function peerUid(socket: Socket): number | null {
  const fd = descriptorOf(socket);
  if (fd === null) return null;
  getsockopt ??= koffi
    .load(null)
    .func('int getsockopt(int fd, int level, int name, _Out_ void *value, _Inout_ void *length)');
  const value = Buffer.alloc(UCRED_BYTES);
  const length = Buffer.alloc(4);
  length.writeInt32LE(UCRED_BYTES);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length) !== 0) return null;
  return length.readInt32LE() === UCRED_BYTES ? value.readUInt32LE(UID_OFFSET) : null;
}

function descriptorOf(socket: Socket): number | null {
  const { _handle: handle } = socket as unknown as { _handle?: { fd?: unknown } | null };
  const fd = handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : null;
}
