/**
 * The principal at the other end of a TLS connection.
 *
 * The certificate is read once a connection (18 us) and its id is looked up once a policy: a policy that
 * was read again counts from the next request on, also on connections that stand. The handshake has
 * verified chain, time and revocation before anything here is asked.
 */
import type { TLSSocket } from 'node:tls';
import type { Principal } from '../principal.ts';
import type { AccessPolicy } from './access-policy.ts';
import { type SpiffeId, spiffeIdOf } from './spiffe-id.ts';

export interface Peer {
  /** null: nobody who is known here. */
  readonly principal: Principal | null;
  /** What its certificate says, for the audit log; null: it names nobody, or more than one. */
  readonly id: SpiffeId | null;
}

interface Known extends Peer {
  readonly policy: AccessPolicy;
}

const known = new WeakMap<TLSSocket, Known>();

export function peerOf(socket: TLSSocket, policy: AccessPolicy): Peer {
  const before = known.get(socket);
  if (before?.policy === policy) return before;
  const id = before === undefined ? idOf(socket) : before.id;
  const peer = { policy, id, principal: id === null ? null : policy.principalOf(id) };
  known.set(socket, peer);
  return peer;
}

function idOf(socket: TLSSocket): SpiffeId | null {
  // Without it a server that was set up wrongly would believe any certificate.
  if (!socket.authorized) return null;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  return spiffeIdOf({ subjectAltName: certificate.subjectAltName, ca: certificate.ca });
}
