/**
 * Whether a principal may use a route on a resource: the one place where that is decided.
 *
 * Three questions in this order: is there somebody, has the route a rule that names the role, and is the
 * resource the principal's own tenant's. A route without a rule refuses everybody, so that one that was
 * forgotten is found by its first user and not by its first abuser. What belongs to another tenant is
 * answered as what does not exist: an id must not be worth guessing.
 */
import { GhostsnapError } from '../../core/errors.ts';
import type { Principal, Role } from '../principal.ts';

export interface ProtectedRoute {
  /** For the audit log: "POST /v1/workspaces/{workspace}/rollback". */
  readonly operation: string;
  /** Who may use it; undefined or empty: nobody. */
  readonly roles?: readonly Role[] | undefined;
}

export type Decision =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly reason: RefusalReason };

export type RefusalReason = 'nobody' | 'no-rule' | 'role' | 'tenant';

/** @param tenant of the resource; null for a route that has none, such as a list of one's own */
export function decide(
  principal: Principal | null,
  route: ProtectedRoute,
  tenant: string | null,
): Decision {
  if (principal === null) return { allowed: false, reason: 'nobody' };
  if (route.roles === undefined || route.roles.length === 0) {
    return { allowed: false, reason: 'no-rule' };
  }
  if (!route.roles.includes(principal.role)) return { allowed: false, reason: 'role' };
  if (tenant !== null && tenant !== principal.tenant) return { allowed: false, reason: 'tenant' };
  return { allowed: true };
}

/**
 * Returns when the principal may.
 * @throws GhostsnapError NOT_PERMITTED; WORKSPACE_NOT_FOUND for a resource of another tenant
 */
export function authorize(
  principal: Principal | null,
  route: ProtectedRoute,
  tenantOfResource: string | null,
): asserts principal is Principal {
  const decision = decide(principal, route, tenantOfResource);
  if (!decision.allowed) throw refusalOf(decision.reason, principal, route);
}

/** Word for word what a workspace gives that nobody has: the two must not be told apart. */
export function unknownWorkspace(): GhostsnapError {
  return new GhostsnapError('WORKSPACE_NOT_FOUND', 'No workspace of this tenant has this id.', {
    hint: 'List the workspaces that there are.',
  });
}

function refusalOf(
  reason: RefusalReason,
  principal: Principal | null,
  route: ProtectedRoute,
): GhostsnapError {
  switch (reason) {
    case 'tenant':
      return unknownWorkspace();
    case 'role':
      return new GhostsnapError(
        'NOT_PERMITTED',
        `The role "${principal?.role}" may not use ${route.operation}.`,
        { hint: `Ask with one of the roles: ${route.roles?.join(', ')}.` },
      );
    case 'no-rule':
      return new GhostsnapError('NOT_PERMITTED', `Nobody may use ${route.operation}.`, {
        hint: 'It has no rule that says who may: report this as a defect.',
      });
    case 'nobody':
      return new GhostsnapError(
        'NOT_PERMITTED',
        'The certificate names nobody who is known here.',
        {
          hint: 'Give its SPIFFE id a rule in the access policy, or use another certificate.',
        },
      );
  }
}
