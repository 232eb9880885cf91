import { expect, test } from 'vitest';
import { LOCAL_TENANT, localPrincipal, ROLES } from '../../src/api/principal.ts';

test('the peer of the unix socket is an operator of the local tenant, named by its uid', () => {
  const principal = localPrincipal(1000);
  expect(principal).toEqual({ id: 'uid:1000', tenant: LOCAL_TENANT, role: 'operator' });
  expect(ROLES).toContain(principal.role);
});
