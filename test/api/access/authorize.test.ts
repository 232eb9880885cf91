import { describe, expect, it } from 'vitest';
import { authorize, decide, unknownWorkspace } from '../../../src/api/access/authorize.ts';
import { type Principal, ROLES, type Role } from '../../../src/api/principal.ts';

const principal = (role: Role, tenant = 'blue'): Principal => ({
  id: `spiffe://a.example/${tenant}/${role}`,
  ...{ tenant, role },
});
const route = (...roles: Role[]): { operation: string; roles: Role[] } => ({
  operation: 'POST /v1/x',
  roles,
});

describe('decide()', () => {
  it('lets exactly the roles of the rule in, within their tenant', () => {
    for (const role of ROLES) {
      for (const allowed of ROLES) {
        const asked = route(allowed);
        const isMeant = role === allowed;
        expect(decide(principal(role), asked, 'blue').allowed).toBe(isMeant);
        expect(decide(principal(role), asked, null).allowed).toBe(isMeant);
        expect(decide(principal(role), asked, 'red').allowed).toBe(false);
      }
    }
  });

  it('refuses everybody where there is no rule, and nobody everywhere', () => {
    for (const role of ROLES) {
      expect(decide(principal(role), { operation: 'x' }, null)).toEqual({
        ...{ allowed: false, reason: 'no-rule' },
      });
      expect(decide(principal(role), route(), 'blue').allowed).toBe(false);
      expect(decide(null, route(role), null)).toEqual({ allowed: false, reason: 'nobody' });
    }
  });
});

describe('authorize()', () => {
  it('says who may, without saying what another tenant has', () => {
    expect(() => authorize(principal('agent'), route('agent'), 'blue')).not.toThrow();
    expect(() => authorize(principal('reader'), route('agent', 'operator'), 'blue')).toThrow(
      expect.objectContaining({
        code: 'NOT_PERMITTED',
        message: 'The role "reader" may not use POST /v1/x.',
        hint: 'Ask with one of the roles: agent, operator.',
      }),
    );
    expect(() => authorize(null, route('agent'), null)).toThrow(/names nobody/);
    expect(() => authorize(principal('operator'), { operation: 'POST /v1/x' }, null)).toThrow(
      /Nobody may/,
    );
    let foreign: unknown;
    try {
      authorize(principal('agent'), route('agent'), 'red');
    } catch (error) {
      foreign = error;
    }
    expect(JSON.stringify(foreign)).toBe(JSON.stringify(unknownWorkspace()));
  });
});
