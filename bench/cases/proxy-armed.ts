/**
 * What the MCP proxy adds to a tool call whose snapshot lies ready, beside the same server without it.
 *
 * Each call writes one file, and the model thinks for a moment before the next. Two things are added: the
 * way in, until the server has the call (the snapshot is adopted meanwhile), and the way out, from its answer
 * to the client (the policy judges the call meanwhile). The monotonic clock is one for all processes.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { initWorkspace } from '../../src/index.ts';
import { type BenchCase, homeOf, rounds } from '../context.ts';
import { formatSpread, type Row, type Series, spreadOf } from '../measure.ts';
import { makePlace } from '../place.ts';
import { makeFiles } from '../tree.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'ghostsnap.js');
const FILES = 1000;
/** Milliseconds in which the next snapshot is armed: far less than a model takes. */
const THINKING_MS = 200;
const BEFORE_MS_MAX = 1;

/** Answers a call with when it had it and when it answered. */
const SERVER = `
const { writeFileSync } = require('node:fs');
const now = () => process.hrtime.bigint().toString();
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const had = now();
  const { id } = JSON.parse(line);
  writeFileSync('edited', String(id));
  const text = JSON.stringify([had, now()]);
  const content = [{ type: 'text', text }];
  console.log(JSON.stringify({ jsonrpc: '2.0', id, result: { content } }));
});`;

interface Called {
  readonly inNs: number;
  readonly outNs: number;
}

export const proxyArmed: BenchCase = {
  name: 'proxy-armed',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 1024 });
    const workspace = place.makeDirectory(place.btrfs, 'work');
    makeFiles(workspace, FILES);
    await initWorkspace({ path: workspace, backend: 'btrfs', environment: place.environment });
    const env = { ...process.env, GHOSTSNAP_HOME: homeOf(place) };
    // On another filesystem: where others write to the workspace's own nothing is proven to be unchanged.
    const beside = mkdtempSync(join(tmpdir(), 'ghostsnap-bench-direct-'));
    using _removed = {
      [Symbol.dispose]: () => rmSync(beside, { recursive: true, force: true }),
    };
    const server = [process.execPath, '-e', SERVER];
    const proxy = [process.execPath, PROGRAM, '-w', workspace, 'mcp-proxy', '--', ...server];
    await using direct = new Client(server, { cwd: beside, env });
    await using proxied = new Client(proxy, { cwd: workspace, env });
    const [without, through]: [Called[], Called[]] = [[], []];
    for (let round = 0; round < rounds(context, 200); round += 1) {
      await pause(THINKING_MS);
      without.push(await direct.call(round));
      through.push(await proxied.call(round));
    }
    // The first calls start engine and server.
    const warm = (calls: readonly Called[]): readonly Called[] => calls.slice(5);
    return [
      row('before the server has the call', warm(through), warm(without), ({ inNs }) => inNs),
      row(
        'to its answer, which the policy judges',
        warm(through),
        warm(without),
        ({ outNs }) => outNs,
      ),
    ];
  },
};

function row(
  what: string,
  through: readonly Called[],
  without: readonly Called[],
  of: (called: Called) => number,
): Row {
  const ours: Series = { name: `proxied ${what}`, samplesNs: through.map(of) };
  const baseline: Series = { name: `direct ${what}`, samplesNs: without.map(of) };
  const [own, other] = [spreadOf(ours), spreadOf(baseline)];
  const p50Ms = (own.p50Ns - other.p50Ns) / 1e6;
  const p99Ms = (own.p99Ns - other.p50Ns) / 1e6;
  return {
    what: `added by the MCP proxy ${what}, armed, ${FILES} files`,
    ours: formatSpread(own),
    baseline: formatSpread(other),
    result: `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`,
    reach: { text: `p99 < ${BEFORE_MS_MAX} ms`, isMet: p99Ms < BEFORE_MS_MAX },
    series: [ours, baseline],
  };
}

class Client implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: ReturnType<typeof createInterface>;

  constructor(
    command: readonly string[],
    on: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  ) {
    const [program = '', ...args] = command;
    this.#child = spawn(program, args, { ...on, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  async call(id: number): Promise<Called> {
    const params = { name: 'edit', arguments: {} };
    const line = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params });
    const sentNs = process.hrtime.bigint();
    this.#child.stdin.write(`${line}\n`);
    const [answer] = (await once(this.#lines, 'line')) as [string];
    const gotNs = process.hrtime.bigint();
    const { result } = JSON.parse(answer) as { result: { content: [{ text: string }] } };
    const [hadNs = '', saidNs = ''] = JSON.parse(result.content[0].text) as string[];
    return { inNs: Number(BigInt(hadNs) - sentNs), outNs: Number(gotNs - BigInt(saidNs)) };
  }

  /** The pool's image is taken down next: the process must be gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.stdin.end();
    await closed;
  }
}
