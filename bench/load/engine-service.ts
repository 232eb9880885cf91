/**
 * The engine behind frames and nothing else: what the service would cost without its HTTP routes, access
 * checks, idempotency and queues. For telling apart what the engine and what the rest takes.
 *
 * Argument: JSON of `EngineServiceOptions`. Says where it listens as the service does; ends in order on
 * SIGTERM, and prints what the process used.
 */
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Frame } from '../../src/api/frames/parse-frame.ts';
import { type FrameAnswer, serveFrames } from '../../src/api/frames/serve-frames.ts';
import type { CallId, WorkspaceId } from '../../src/core/ids.ts';
import { resolveHome } from '../../src/daemon/home.ts';
import { closePool, openServicePool, requirePool } from '../../src/daemon/open-pool.ts';
import { buildWorkspace } from '../../src/daemon/open-workspace.ts';
import type { WorkspaceRecord } from '../../src/daemon/registry.ts';
import type { EngineWorkspace } from '../../src/engine/engine-workspace.ts';
import { systemEnvironment } from '../../src/index.ts';

export interface EngineServiceOptions {
  readonly pool: string;
  readonly keyFile: string;
  readonly certFile: string;
  readonly caFile: string;
  readonly arm: 'yes' | 'no';
}

const options = JSON.parse(process.argv[2] ?? '') as EngineServiceOptions;
const environment = systemEnvironment();
const home = resolveHome(environment);
const pool = requirePool(home, options.pool);
const parts = await openServicePool({ home, pool, waitMs: 1000 });
const workspaces = new Map<string, EngineWorkspace>();
for (const row of parts.catalog.listWorkspaces()) {
  const record: WorkspaceRecord = {
    ...{ format: 1 as const, id: row.workspace, path: row.path, pool: pool.name },
    ...{ backend: 'btrfs' as const, movedTo: null },
  };
  workspaces.set(row.workspace, buildWorkspace({ home, environment, record, parts }));
}

interface Input {
  readonly workspace: WorkspaceId;
  readonly session: string;
  readonly key: string;
  readonly tool: string;
  readonly readOnly?: boolean;
  readonly input?: object;
  readonly call: CallId;
}

async function ask(frame: Frame): Promise<FrameAnswer> {
  const input = frame.input as Input;
  const workspace = workspaces.get(input.workspace);
  if (workspace === undefined) return { status: 404, problem: { code: 'WORKSPACE_NOT_FOUND' } };
  if (frame.operation === 'beginCall') {
    const { session, key, tool } = input;
    const readOnly = input.readOnly === true ? 'yes' : 'no';
    const call = { session, key, tool, readOnly, harness: 'load' } as const;
    const begun = await workspace.beginCall({ ...call, input: JSON.stringify(input.input) });
    return { status: 201, output: begun };
  }
  await workspace.endCall({ call: input.call, outcome: 'ok' });
  if (options.arm === 'yes') void workspace.arm();
  return { status: 200, output: { call: input.call, outcome: 'ok' } };
}

const stopping = new AbortController();
const service = {
  answer: (frame: Frame): Promise<FrameAnswer> =>
    ask(frame).catch((error: unknown) => ({ status: 500, problem: { code: String(error) } })),
  refuse: (): FrameAnswer => ({ status: 400, problem: { code: 'BAD_ARGUMENT' } }),
  hold: () => () => {},
  noRoomFor: () => null,
  stopping: stopping.signal,
};
const server = http2.createSecureServer({
  ...{ key: readFileSync(options.keyFile), cert: readFileSync(options.certFile) },
  ...{ ca: readFileSync(options.caFile), requestCert: true, rejectUnauthorized: true },
  minVersion: 'TLSv1.3',
});
server.on('stream', (stream) => {
  stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
  void serveFrames(stream, service);
});
const delay = monitorEventLoopDelay({ resolution: 2 });
delay.enable();
process.on('SIGUSR2', () => delay.reset());
process.once('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ loopP99Ms: delay.percentile(99) / 1e6 - 2 })}\n`);
  stopping.abort();
  server.close();
  setTimeout(() => void closePool(parts).then(() => process.exit(0)), 300);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  process.stderr.write(`${JSON.stringify({ level: 'info', message: 'listening', port })}\n`);
});
