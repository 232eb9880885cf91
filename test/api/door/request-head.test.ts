import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEADERS_MAX } from '../../../src/api/door/http-limits.ts';
import { type HeadRefusal, refuseHead } from '../../../src/api/door/request-head.ts';

const BODY_MAX = 65_536;
const PLAIN = ['host', 'a.example', 'content-type', 'application/json', 'content-length', '2'];

function refusal(change: {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: readonly string[];
}): HeadRefusal | null {
  const { method = 'POST', target = '/v1/workspaces?limit=5', headers = [] } = change;
  return refuseHead({ method, target, rawHeaders: [...PLAIN, ...headers] }, BODY_MAX);
}

describe('refuseHead()', () => {
  it('lets an ordinary request pass', () => {
    expect(refusal({})).toBeNull();
    expect(refusal({ method: 'GET', target: '/v1/workspaces/ws_01/snapshots/@~2' })).toBeNull();
    expect(refusal({ target: '/v1/diff?path=a%20b%2Fc' })).toBeNull();
    expect(refusal({ headers: ['traceparent', '00-1-2-01', 'x-a', '1', 'x-a', '2'] })).toBeNull();
    expect(
      refuseHead({ method: 'GET', target: '/', rawHeaders: [':path', '/', ':method', 'GET'] }, 0),
    ).toBeNull();
  });

  it.each([
    'v1/workspaces',
    'http://other.example/v1',
    '*',
    '',
    '/v1/../etc',
    '/v1/..',
    '/v1/./x',
    '/v1/%2e%2E/x',
    '/v1/.%2e',
    '//v1',
    '/v1//x',
    '/v1/a%2fb',
    '/v1/a%5Cb',
    '/v1/a\\b',
    '/v1/a%00',
    '/v1/a%252e',
    '/v1/a%7f',
    '/v1/a#b',
    '/v1/a b',
    '/v1/ä',
    '/v1/a%2',
    '/v1/a%zz',
    '/v1/x\r\nHost: b',
  ])('refuses the path %j', (target) => {
    expect(refusal({ target })?.status).toBe(400);
  });

  it.each([
    [['content-length', '2'], 400, 'twice'],
    [['Content-Length', '3'], 400, 'twice'],
    [['HOST', 'b.example'], 400, 'twice'],
    [['idempotency-key', 'a', 'Idempotency-Key', 'b'], 400, 'twice'],
    [['transfer-encoding', 'chunked'], 400, 'two ways'],
    [['expect', '100-continue'], 417, 'expects'],
    [['content-encoding', 'gzip'], 415, 'encoded'],
  ] as const)('refuses the headers %j beside the usual ones', (headers, status, why) => {
    const found = refusal({ headers });
    expect(found?.status).toBe(status);
    expect(found?.why).toContain(why);
  });

  it.each([
    [['transfer-encoding', 'chunked, chunked'], 400],
    [['transfer-encoding', 'Chunked '], 400],
    [['transfer-encoding', 'identity'], 400],
    [['content-length', '+2'], 400],
    [['content-length', '0x2'], 400],
    [['content-length', '-1'], 400],
    [['content-length', '2, 2'], 400],
    [['content-length', ''], 400],
    [['content-length', '65537'], 413],
    [['content-type', 'text/plain'], 415],
    [['content-type', 'application/json; charset=latin1'], 415],
    [['content-type', 'application/x-www-form-urlencoded'], 415],
  ] as const)('refuses the framing %j', (headers, status) => {
    expect(refuseHead({ method: 'POST', target: '/', rawHeaders: headers }, BODY_MAX)?.status).toBe(
      status,
    );
  });

  it('refuses methods of no route, too many headers, too long ones and a too long path', () => {
    for (const method of ['TRACE', 'CONNECT', 'OPTIONS', 'HEAD', 'get', 'PRI', '']) {
      expect(refusal({ method })?.status).toBe(405);
    }
    const many = Array.from({ length: HEADERS_MAX }, (_, n) => [`x-${n}`, '1']).flat();
    expect(refusal({ headers: many })?.status).toBe(431);
    expect(refusal({ headers: ['x', 'y'.repeat(16_384)] })?.status).toBe(431);
    expect(refusal({ target: `/${'a'.repeat(4096)}` })?.status).toBe(414);
  });

  it('never throws, and what passes has one path under every reading', () => {
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom('/', '.', '%2e', '%2f', '%', 'a', '..', '?', '\\', '%00'),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const target = `/${parts.join('')}`;
        if (refuseHead({ method: 'GET', target, rawHeaders: [] }, 0) !== null) return;
        expect(new URL(target, 'http://a.example').pathname).toBe(target.split('?')[0]);
      }),
      { numRuns: 3000 },
    );
  });
});
