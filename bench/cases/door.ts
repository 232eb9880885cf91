/**
 * What a refused request costs beside a good one: head, JSON and schema, in turn, in one run. A flood of
 * bad requests must be cheaper than as many good ones, before any of these has reached an engine.
 */
import { refuseHead } from '../../src/api/door/request-head.ts';
import { REQUEST_BODY, readStrictJson } from '../../src/api/door/strict-json.ts';
import { parseInput } from '../../src/api/invoke.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import { type BenchCase, rounds } from '../context.ts';
import { type Row, ratioRow, timeSync } from '../measure.ts';

const EACH = 2000;
const WORKSPACE = 'ws_01JDSB0000000000000000000A';
const HEADERS = [
  ...['host', 'a.example', 'content-type', 'application/json', 'content-length', '190'],
  ...['idempotency-key', '0b7f1c1e', 'traceparent', '00-1-2-01', 'user-agent', 'bench'],
];
const GOOD = JSON.stringify({
  ...{ session: 'session-0001', harness: 'bench', tool: 'Bash', key: 'toolu_01A2B3C4' },
  input: { command: 'npm install --save-dev vitest', description: 'Install the test runner' },
});

interface Sent {
  readonly headers: readonly string[];
  readonly body: Buffer;
}

const good: Sent = { headers: HEADERS, body: Buffer.from(GOOD) };

/** One of each place where a request can be stopped. */
const BAD: readonly (readonly [string, Sent])[] = [
  ['a length given twice', { ...good, headers: [...HEADERS, 'content-length', '7'] }],
  ['cut off JSON', { ...good, body: good.body.subarray(0, 150) }],
  ['a key twice', { ...good, body: Buffer.from(GOOD.replace('{', '{"tool":"x",')) }],
  ['a number of no program', { ...good, body: Buffer.from(GOOD.replace('{', '{"n":1e999,')) }],
  ['nested too deep', { ...good, body: Buffer.from('['.repeat(190)) }],
];

export const door: BenchCase = {
  name: 'door',
  needs: 'nothing',
  async run(context): Promise<readonly Row[]> {
    const samples = new Map<string, number[]>([['good', []]]);
    for (const [name] of BAD) samples.set(name, []);
    // The first round warms up.
    for (let round = -1; round < rounds(context, 20); round += 1) {
      for (const [name, sent] of [['good', good] as const, ...BAD]) {
        const ns = timeSync(() => {
          for (let n = 0; n < EACH; n += 1) take(sent);
        });
        if (round >= 0) samples.get(name)?.push(ns / EACH);
      }
    }
    const baseline = { name: 'a good request', samplesNs: samples.get('good') ?? [] };
    return BAD.map(([name]) =>
      ratioRow({
        what: `refusing ${name}, beside letting a good request in`,
        ours: { name, samplesNs: samples.get(name) ?? [] },
        ...{ baseline, judge: 'at most', bound: 1 },
      }),
    );
  },
};

/** As the server does it, up to the host. */
function take({ headers, body }: Sent): boolean {
  const target = `/v1/workspaces/${WORKSPACE}/calls`;
  const head = { method: 'POST', target, rawHeaders: headers };
  if (refuseHead(head, REQUEST_BODY.bytesMax) !== null) return false;
  const reading = readStrictJson(body, REQUEST_BODY);
  if (!reading.ok) return false;
  try {
    parseInput('beginCall', { ...(reading.value as object), workspace: WORKSPACE });
    return true;
  } catch (error) {
    if (error instanceof GhostsnapError) return false;
    throw error;
  }
}
