/**
 * A service on a pool that speaks frames on its standard input and output, for the test beside it.
 *
 * Arguments: the directory with `home` in it, the pool's name, the workspaces' paths. Says "ready" in a
 * frame of its own once it can be asked.
 */
import { writeFileSync, writeSync } from 'node:fs';
import { Duplex } from 'node:stream';
import type { Frame } from '../../src/api/frames/parse-frame.ts';
import { type FrameAnswer, serveFrames } from '../../src/api/frames/serve-frames.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import { resolveHome } from '../../src/daemon/home.ts';
import { openServicePool, requirePool } from '../../src/daemon/open-pool.ts';
import { type Environment, openWorkspace, type Workspace } from '../../src/index.ts';

const [base = '', name = '', ...paths] = process.argv.slice(2);
const env = { ...process.env, GHOSTSNAP_HOME: `${base}/home` };
const environment: Environment = { env, cwd: base, homeDir: base, uid: 0 };
const home = resolveHome(environment);
await openServicePool({ home, pool: requirePool(home, name), waitMs: 10_000 });
const workspaces = new Map<string, Workspace>();
for (const path of paths)
  workspaces.set(path, await openWorkspace({ workspace: path, environment }));

interface Input {
  readonly path: string;
  readonly key: string;
  readonly content: string;
}

/** A whole call: what makes it safe to ask again is its key while it is in flight, and the log afterwards. */
async function call({ path, key, content }: Input): Promise<string> {
  const workspace = workspaces.get(path);
  if (workspace === undefined) throw new Error(`unknown: ${path}`);
  const before = workspace.listCalls({ session: 's' }).find((row) => row.key === key);
  const isOver = before !== undefined && before.outcome !== null;
  if (isOver) return before.call;
  const begun = await workspace.beginCall({ session: 's', harness: 'test', tool: 'Bash', key });
  writeFileSync(`${path}/content`, content);
  await workspace.endCall({ call: begun.call, outcome: 'ok' });
  return begun.call;
}

async function answer({ input }: Frame): Promise<FrameAnswer> {
  try {
    return { status: 200, output: await call(input as Input) };
  } catch (error) {
    if (error instanceof GhostsnapError) return { status: 500, problem: error };
    throw error;
  }
}

writeSync(1, '{"id":null,"status":200,"output":"ready"}\n');
const stopping = new AbortController().signal;
const refuse = (): FrameAnswer => ({ status: 400, problem: null });
const stream = Duplex.from({ readable: process.stdin, writable: process.stdout });
const hold = () => () => {};
const noRoomFor = () => null;
await serveFrames(stream, { answer, refuse, hold, noRoomFor, stopping });
process.exit(0);
