/**
 * What good calls take while somebody sends bad requests as fast as they are refused, beside the same calls
 * without: the real service as a process, over mTLS, in turns in one run.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Client, createClient } from '../../src/api/client/client.ts';
import { initWorkspace } from '../../src/index.ts';
import { type BenchCase, rounds } from '../context.ts';
import { type Certificates, makeCertificates } from '../load/certificates.ts';
import { formatSpread, type Row, spreadOf, timeAsync } from '../measure.ts';
import { makePlace, type Place } from '../place.ts';
import { makeFiles } from '../tree.ts';

const FILES = 200;
const SESSIONS = 4;
const CALLS_A_BLOCK = 40;
const IDENTITY = 'spiffe://bench.example/gateway';
const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'ghostsnap.js');
const FLOODER = join(import.meta.dirname, '..', 'child', 'flooder.ts');
const BOUND = 1.5;

export const flood: BenchCase = {
  name: 'flood',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 2048 });
    const { environment } = place;
    const path = place.makeDirectory(place.btrfs, 'template');
    makeFiles(path, FILES);
    const { workspace: template } = await initWorkspace({ path, pool: 'bench', environment });
    const certificates = makeCertificates(place.plain, IDENTITY);
    await using service = await startServe(place, certificates);
    await using client = clientFor(service.url, certificates);
    const workspaces = await Promise.all(
      Array.from({ length: SESSIONS }, () => client.createWorkspace({ template })),
    );
    const ids = workspaces.map(({ workspace }) => workspace);
    const [calm, flooded]: [number[], number[]] = [[], []];
    let refused = 0;
    await block(client, ids, []);
    for (let round = 0; round < rounds(context, 8); round += 1) {
      await block(client, ids, calm);
      const flooder = await startFlooder(service.url, certificates);
      await block(client, ids, flooded);
      refused += await flooder.end();
    }
    return [rowOf(calm, flooded, refused)];
  },
};

let calls = 0;

/** Calls of all sessions at once, each one after the other. */
async function block(client: Client, ids: readonly string[], into: number[]): Promise<void> {
  await Promise.all(
    ids.map(async (workspace) => {
      const about = { workspace, session: 's', harness: 'bench', tool: 'Bash' };
      for (let n = 0; n < CALLS_A_BLOCK; n += 1) {
        calls += 1;
        const key = `k${calls}`;
        into.push(
          await timeAsync(async () => {
            const { call } = await client.beginCall({ ...about, key });
            await client.endCall({ workspace, call, outcome: 'ok' });
          }),
        );
      }
    }),
  );
}

function rowOf(calm: readonly number[], flooded: readonly number[], refused: number): Row {
  const ours = { name: 'in a flood of bad requests', samplesNs: [...flooded] };
  const baseline = { name: 'without', samplesNs: [...calm] };
  const [own, other] = [spreadOf(ours), spreadOf(baseline)];
  const ratio = own.p99Ns / other.p99Ns;
  const perCall = (refused / flooded.length).toFixed(0);
  return {
    what: `begin and end over mTLS, ${perCall} bad requests refused beside each, p99`,
    ours: formatSpread(own),
    baseline: `${baseline.name}: ${formatSpread(other)}`,
    result: `${ratio.toFixed(2)}x (p50 ${(own.p50Ns / other.p50Ns).toFixed(2)}x)`,
    reach: { text: `<= ${BOUND}x`, isMet: ratio <= BOUND },
    series: [ours, baseline],
  };
}

function clientFor(url: string, { client, caFile }: Certificates): Client {
  const read = (file: string): string => readFileSync(file, 'utf8');
  const tls = { cert: read(client.certFile), key: read(client.keyFile), ca: read(caFile) };
  return createClient({ endpoints: [url], tls });
}

interface Serving extends AsyncDisposable {
  readonly url: string;
}

async function startServe(place: Place, certificates: Certificates): Promise<Serving> {
  const { plain, environment } = place;
  const access = join(plain, 'access.json');
  const rules = [{ id: IDENTITY, tenant: 'bench', role: 'operator' }];
  writeFileSync(access, JSON.stringify({ format: 1, trustDomain: 'bench.example', rules }));
  const port = await freePort();
  const { certFile: certificate, keyFile: key } = certificates.server;
  const listen = {
    host: '127.0.0.1',
    port,
    certificate,
    key,
    clientCa: certificates.caFile,
    access,
  };
  const config = join(plain, 'service.json');
  writeFileSync(config, JSON.stringify({ format: 1, socket: null, pools: ['bench'], listen }));
  const child = spawn(process.execPath, [PROGRAM, 'serve', '--config', config], {
    env: { ...environment.env, UV_THREADPOOL_SIZE: '64' },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  await lineOf(child, child.stderr, '"serving"');
  child.stderr.resume();
  return {
    url: `https://localhost:${port}`,
    [Symbol.asyncDispose]: () => end(child),
  };
}

async function startFlooder(
  url: string,
  { client, caFile }: Certificates,
): Promise<{ end(): Promise<number> }> {
  const child = spawn(process.execPath, [FLOODER, url, client.certFile, client.keyFile, caFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await lineOf(child, child.stdout, 'flooding');
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stdout.resume();
  return {
    async end() {
      await end(child);
      return Number(said.trim());
    },
  };
}

async function lineOf(
  child: ChildProcess,
  stream: NodeJS.ReadableStream,
  text: string,
): Promise<void> {
  const found = Promise.withResolvers<void>();
  const lines = createInterface({ input: stream });
  lines.on('line', (line) => {
    if (line.includes(text)) found.resolve();
  });
  const onExit = (code: number | null): void => found.reject(new Error(`It ended with ${code}.`));
  child.once('exit', onExit);
  await found.promise;
  child.removeListener('exit', onExit);
  lines.close();
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'close');
  child.kill('SIGTERM');
  await ended;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('No port was given.');
  return address.port;
}
