import { expect, test } from 'vitest';
import { invoke, parseFollowEvents } from '../../src/api/invoke.ts';
import type { ServiceHost } from '../../src/service/host.ts';

const workspace = 'ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3';
const principal = { id: 'uid:0', tenant: 'local', role: 'operator' } as const;
const context = {
  ...{ trace: undefined, deadline: undefined, idempotencyKey: undefined },
  signal: new AbortController().signal,
};

test('the host is asked with what was parsed, and not at all when it is wrong', async () => {
  const asked: unknown[] = [];
  const host = {
    endSession: async (...given: unknown[]) => {
      asked.push(given);
      return { workspace, session: 's' };
    },
  } as unknown as ServiceHost;
  const operation = 'endSession';
  await invoke(host, { principal, operation, input: { workspace, session: 's' }, context });
  expect(asked).toEqual([[principal, { workspace, session: 's' }, context]]);
  const wrong = invoke(host, { principal, operation, input: { workspace }, context });
  await expect(wrong).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
  expect(asked).toHaveLength(1);
});

test('following begins at the beginning', () => {
  expect(parseFollowEvents({ workspace })).toEqual({ workspace, after: 0 });
  expect(() => parseFollowEvents({ workspace, after: -1 })).toThrow(/\/after/);
});
