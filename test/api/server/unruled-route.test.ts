/** A route that somebody forgot to give a rule is refused to everybody, whatever it would do. */
import http from 'node:http';
import { expect, it } from 'vitest';
import { AnswerBudget } from '../../../src/api/door/answer-budget.ts';
import { RefusalPace } from '../../../src/api/door/refusal-pace.ts';
import type { Principal } from '../../../src/api/principal.ts';
import { type ApiRefusal, createApiServer } from '../../../src/api/server/api-server.ts';
import { NO_TELEMETRY } from '../../../src/engine/ports.ts';
import type { ServiceHost } from '../../../src/service/host.ts';

const OPERATOR: Principal = { id: 'spiffe://a.example/x', tenant: 'blue', role: 'operator' };

it('is answered by its refusal, and its handler is not run', async () => {
  const refusals: ApiRefusal[] = [];
  let runs = 0;
  const app = createApiServer({
    host: {} as ServiceHost,
    makeServer: (listener) => http.createServer(listener),
    principalOf: () => OPERATOR,
    answers: new AnswerBudget(() => 0),
    refusals: new RefusalPace({ monotonicMs: () => 0, perSecond: () => 10 }),
    ...{ telemetry: NO_TELEMETRY, openApi: '{}', stopping: new AbortController().signal },
    onRefusal: (refusal) => refusals.push(refusal),
    onDefect: (error) => {
      throw error;
    },
  });
  app.get('/forgotten', async () => {
    runs += 1;
    return {};
  });
  const { statusCode } = await app.inject({ method: 'GET', url: '/forgotten' });
  expect(statusCode).toBe(403);
  expect(runs).toBe(0);
  expect(refusals.map(({ error }) => error.message)).toEqual(['Nobody may use GET /forgotten.']);
  const known = await app.inject({ method: 'GET', url: '/healthz' });
  expect(known.statusCode).toBe(200);
});
