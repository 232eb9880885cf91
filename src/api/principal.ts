/**
 * Who asks: an identity that was proven at the door, the tenant it belongs to and what it may do.
 *
 * A principal is made in two places only, from a client certificate that the policy file names and from
 * the peer of the unix socket, never from anything that a request says about itself. Nothing is read
 * out of `id`: it is for the audit log.
 */

/**
 * What a principal may do within its tenant. `agent`: run sessions and tool calls, look, and go back.
 * `reader`: look. `operator`: everything, keeping and deleting included.
 */
export type Role = 'agent' | 'operator' | 'reader';

export const ROLES: readonly Role[] = ['agent', 'operator', 'reader'];

export interface Principal {
  /** A SPIFFE id, `spiffe://<trust domain>/<path>`; `uid:<number>` on the unix socket. */
  readonly id: string;
  readonly tenant: string;
  readonly role: Role;
}

/** The tenant of whoever sits on the machine itself, and of what the command line made there. */
export const LOCAL_TENANT = 'local';

/** @param uid of the peer of a unix socket, as the kernel says, once it was let in */
export function localPrincipal(uid: number): Principal {
  return { id: `uid:${uid}`, tenant: LOCAL_TENANT, role: 'operator' };
}
