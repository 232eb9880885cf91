/** Every route, asked by every role of every tenant: who gets through is what is written here. */
import { describe, expect, it } from 'vitest';
import { authorize, decide } from '../../../src/api/access/authorize.ts';
import { type Principal, ROLES } from '../../../src/api/principal.ts';
import { PLAIN_ROUTES, ROUTES, ruleOf } from '../../../src/api/routes.ts';
import { OPERATIONS, STREAMS } from '../../../src/api/schema/operations.ts';

const TENANTS = ['blue', 'red', 'local'];

/** By hand, so that a change of a rule is a change here as well. */
const AGENTS_TOO = [
  ...['startSession', 'endSession', 'submitPrompt', 'beginCall', 'endCall', 'undoCall'],
  ...['takeSnapshot', 'labelSnapshot', 'rollback', 'restore', 'undo', 'redo'],
];
const OPERATORS_ONLY = [
  ...['createWorkspace', 'adoptWorkspace', 'deleteWorkspace'],
  ...['pinSnapshot', 'unpinSnapshot', 'prune'],
];

/** Contents are more than a look. */
const NOT_FOR_READERS = [...OPERATORS_ONLY, ...AGENTS_TOO, 'readContent'];

describe('the table of routes', () => {
  it('has a rule for every operation, and each change is one of those named here', () => {
    const names = ROUTES.map(({ operation }) => operation);
    expect([...names].sort()).toEqual([...Object.keys(OPERATIONS), ...Object.keys(STREAMS)].sort());
    const changes = ROUTES.filter(({ effect }) => effect === 'mutates');
    expect(changes.map(({ operation }) => operation).sort()).toEqual(
      [...AGENTS_TOO, ...OPERATORS_ONLY].sort(),
    );
    for (const { roles, operation } of ROUTES) expect(roles, operation).not.toHaveLength(0);
  });

  it.each(ROUTES.map((route) => [route.operation, route] as const))('%s', (operation, route) => {
    const rule = { operation, roles: route.roles };
    for (const role of ROLES) {
      const may =
        role === 'operator' ||
        (role === 'agent' && !OPERATORS_ONLY.includes(operation)) ||
        (role === 'reader' && !NOT_FOR_READERS.includes(operation));
      for (const tenant of TENANTS) {
        const principal: Principal = { id: `spiffe://a.example/${role}`, tenant, role };
        expect(decide(principal, rule, null).allowed, role).toBe(may);
        for (const owner of TENANTS) {
          const isAllowed = decide(principal, rule, owner).allowed;
          expect(isAllowed, `${role} of ${tenant} at ${owner}`).toBe(may && owner === tenant);
        }
      }
    }
    expect(() => authorize(null, rule, 'blue')).toThrow(/names nobody/);
  });
});

it.each(Object.entries(PLAIN_ROUTES))(
  '%s is for every role and for nobody else',
  (_name, route) => {
    for (const role of ROLES) {
      const principal: Principal = { id: 'spiffe://a.example/x', tenant: 'blue', role };
      expect(decide(principal, ruleOf(route), null).allowed, role).toBe(true);
    }
    expect(decide(null, ruleOf(route), null)).toEqual({ allowed: false, reason: 'nobody' });
  },
);
