/** A defect is told with the ids of the span that it happened in, also where the trace begins here. */
import http from 'node:http';
import { describe, expect, it } from 'vitest';
import { AnswerBudget } from '../../../src/api/door/answer-budget.ts';
import { RefusalPace } from '../../../src/api/door/refusal-pace.ts';
import { answerFrames } from '../../../src/api/frames/answer-frames.ts';
import type { Principal } from '../../../src/api/principal.ts';
import { problem as problemSchema } from '../../../src/api/schema/problem.ts';
import { createApiServer } from '../../../src/api/server/api-server.ts';
import {
  childContext,
  logIds,
  newTrace,
  type TraceContext,
} from '../../../src/core/trace-context.ts';
import { NO_TELEMETRY, type Telemetry } from '../../../src/engine/ports.ts';
import type { ServiceHost } from '../../../src/service/host.ts';

const OPERATOR: Principal = { id: 'spiffe://a.example/x', tenant: 'blue', role: 'operator' };
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;
/** Of every span that is begun. */
const SPAN = '0000000700000009';
const BEGUN = newTrace([1, 2, 3, 4, 7, 9], { sampled: 'yes' });

const telemetry: Telemetry = {
  ...NO_TELEMETRY,
  begin: (parent) => (parent === undefined ? BEGUN : childContext(parent, 7, 9)),
};
const host = {
  tenantOf: () => 'blue',
  getUsage: () => Promise.reject(new TypeError('a defect')),
} as unknown as ServiceHost;

const defects: (TraceContext | undefined)[] = [];
const parts = {
  ...{ host, telemetry, answers: new AnswerBudget(() => 0) },
  stopping: new AbortController().signal,
  onRefusal: () => undefined,
  onDefect: (_: unknown, trace: TraceContext | undefined) => void defects.push(trace),
};

const app = createApiServer({
  ...{ ...parts, openApi: '{}' },
  makeServer: (listener) => http.createServer(listener),
  principalOf: () => OPERATOR,
  refusals: new RefusalPace({ monotonicMs: () => 0, perSecond: () => 10 }),
});
const frames = answerFrames({ ...parts, principal: OPERATOR });

/** @returns the trace that the caller is told */
async function asked(traceparent: string | undefined): Promise<unknown> {
  const headers = traceparent === undefined ? {} : { traceparent };
  const answer = await app.inject({ method: 'GET', url: '/v1/usage', headers });
  return answer.json().trace;
}

async function framed(trace: string | undefined): Promise<unknown> {
  const frame = { id: 1, operation: 'getUsage', input: {}, key: undefined, deadlineMs: undefined };
  const answer = await frames.answer({ ...frame, trace }, parts.stopping);
  return problemSchema.parse('problem' in answer ? answer.problem : null).trace;
}

describe.each([
  ['a request', asked],
  ['a frame', framed],
])('%s that fails by a defect', (_what, ask) => {
  it('is told in the span that was begun below its caller’s', async () => {
    expect(await ask(PARENT)).toBe(TRACE);
    expect(logIds(defects.at(-1))).toEqual({ trace_id: TRACE, span_id: SPAN });
  });

  it('is told in the trace that begins with it', async () => {
    expect(await ask(undefined)).toBe(BEGUN.traceId);
    expect(logIds(defects.at(-1))).toEqual({ trace_id: BEGUN.traceId, span_id: SPAN });
  });
});
