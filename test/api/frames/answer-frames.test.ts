import { beforeEach, describe, expect, it } from 'vitest';
import { AnswerBudget } from '../../../src/api/door/answer-budget.ts';
import { answerFrames } from '../../../src/api/frames/answer-frames.ts';
import type { Frame } from '../../../src/api/frames/parse-frame.ts';
import type { FrameService } from '../../../src/api/frames/serve-frames.ts';
import type { Principal } from '../../../src/api/principal.ts';
import { GhostsnapError } from '../../../src/core/errors.ts';
import { NO_TELEMETRY } from '../../../src/engine/ports.ts';
import type { CallContext } from '../../../src/service/call-context.ts';
import type { ServiceHost } from '../../../src/service/host.ts';

const workspace = 'ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3';
const other = 'ws_01J9Z3K4M5N6P7Q8R9S0T1V2W4';
const agent: Principal = { id: 'spiffe://x/agent', tenant: 'ours', role: 'agent' };
const gone = new AbortController().signal;

/** What the host was asked: the operation, its input, its context. */
let asked: { name: string; input: unknown; context: CallContext }[];
/** What the host's next answer is. */
let behave: (context: CallContext) => Promise<unknown>;
let refused: string[];
let defects: unknown[];
let service: FrameService;

beforeEach(() => {
  asked = [];
  refused = [];
  defects = [];
  behave = async () => ({ done: true });
  service = serviceFor(agent);
});

const answers = new AnswerBudget(() => 0);

function serviceFor(principal: Principal | null): FrameService {
  const method = (name: string) => (_who: Principal, input: unknown, context: CallContext) => {
    asked.push({ name, input, context });
    return behave(context);
  };
  const host = {
    tenantOf: (id: string) => (id === workspace ? 'ours' : id === other ? 'theirs' : null),
    ...{ endSession: method('endSession'), createWorkspace: method('createWorkspace') },
  } as unknown as ServiceHost;
  return answerFrames({
    ...{ host, principal, telemetry: NO_TELEMETRY, answers, stopping: gone },
    onRefusal: (operation) => refused.push(operation),
    onDefect: (error) => defects.push(error),
  });
}

function frame(more: Partial<Frame>): Frame {
  const input = { workspace, session: 's' };
  const none = { key: undefined, deadlineMs: undefined, trace: undefined };
  return { id: 1, operation: 'endSession', input, ...none, ...more };
}

describe('a frame', () => {
  it('asks the host what a request would, with its key and trace', async () => {
    const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const answer = await service.answer(frame({ key: 'k', trace }), gone);
    expect(answer).toEqual({ status: 200, output: { done: true } });
    expect(asked).toMatchObject([
      {
        ...{ name: 'endSession', input: { workspace, session: 's' } },
        context: {
          idempotencyKey: 'k',
          deadline: undefined,
          trace: { traceId: '4bf92f3577b34da6a3ce929d0e0e4736' },
        },
      },
    ]);
  });

  it.each([
    ['an unknown operation', frame({ operation: 'dance' }), 404, 'ROUTE_NOT_FOUND'],
    ['a stream, which is not framed', frame({ operation: 'followEvents' }), 404, 'ROUTE_NOT_FOUND'],
    ['an inherited name', frame({ operation: 'constructor' }), 404, 'ROUTE_NOT_FOUND'],
    ['a role that may not', frame({ operation: 'createWorkspace' }), 403, 'NOT_PERMITTED'],
    [
      "another tenant's workspace",
      frame({ input: { workspace: other, session: 's' } }),
      ...([404, 'WORKSPACE_NOT_FOUND'] as const),
    ],
    ['a wrong input', frame({ input: { workspace, session: 's', more: 1 } }), 400, 'BAD_ARGUMENT'],
    ['no input', frame({ input: undefined }), 400, 'BAD_ARGUMENT'],
  ])('is refused and reaches no host: %s', async (_why, asking, status, code) => {
    expect(await service.answer(asking, gone)).toMatchObject({ status, problem: { code } });
    expect(asked).toEqual([]);
  });

  it('of nobody is refused, and refusals by rule are told', async () => {
    const nobody = serviceFor(null);
    expect(await nobody.answer(frame({}), gone)).toMatchObject({ status: 403 });
    expect(refused).toEqual(['POST /v1/workspaces/{workspace}/sessions/{session}/end']);
  });

  it('carries what the host throws as the problem of HTTP, and hides a defect', async () => {
    behave = async () => {
      throw new GhostsnapError('OVERLOADED', 'Too much.', { data: { retryAfterMs: 1500 } });
    };
    expect(await service.answer(frame({}), gone)).toMatchObject({
      ...{ status: 503, retryAfterS: 2, problem: { code: 'OVERLOADED', retryable: true } },
    });
    const secret = new TypeError('secret');
    behave = async () => {
      throw secret;
    };
    const answer = await service.answer(frame({}), gone);
    expect(answer.status).toBe(500);
    expect(JSON.stringify(answer)).not.toContain('secret');
    expect(defects).toEqual([secret]);
  });

  it('is given up when nobody waits any more', async () => {
    behave = ({ signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    const late = await service.answer(frame({ deadlineMs: 1 }), gone);
    expect(late).toMatchObject({ status: 503, problem: { code: 'DEADLINE_EXCEEDED' } });
    const leaving = new AbortController();
    const asking = service.answer(frame({ deadlineMs: 60_000 }), leaving.signal);
    leaving.abort();
    expect((await asking).status).toBeGreaterThanOrEqual(400);
  });
});
