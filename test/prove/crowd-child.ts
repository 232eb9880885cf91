/**
 * One of the crowd: `node crowd-child.ts ENVIRONMENT WORKSPACE SEED CALLS`, the first as JSON.
 *
 * Snapshots, goes back and deletes what it took itself, through an engine of its own that is opened anew
 * now and then. Prints a line of JSON for every call: what came of it and how long it took.
 */
import { GhostsnapError } from '../../src/core/errors.ts';
import type { Environment } from '../../src/daemon/home.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { SimRandom } from '../sim/sim-random.ts';

export interface CrowdAnswer {
  readonly what: 'snapshot' | 'rollback' | 'undo' | 'delete' | 'open';
  /** Snapshots that this call made and acknowledged. */
  readonly made: readonly string[];
  readonly deleted: readonly string[];
  /** The error's code; null: it succeeded. */
  readonly code: string | null;
  readonly ms: number;
}

const [environmentJson = '', workspacePath = '', seed = '', calls = ''] = process.argv.slice(2);
const environment = JSON.parse(environmentJson) as Environment;
const random = new SimRandom(Number(seed));
const own: string[] = [];
const OPEN_TRIES_MAX = 20;

let workspace = await opened();
for (let call = 0; call < Number(calls); call += 1) {
  if (random.oneIn(5)) {
    await workspace.close();
    workspace = await opened();
  }
  await one(workspace);
}
await workspace.close();

/** A refusal is said, as of any call; without a workspace there is nothing to go on with. */
async function opened(): Promise<Workspace> {
  for (let tries = 0; tries < OPEN_TRIES_MAX; tries += 1) {
    let open: Workspace | null = null;
    await timed('open', async () => {
      open = await openWorkspace({ workspace: workspacePath, environment });
      return {};
    });
    if (open !== null) return open;
  }
  throw new Error(`${workspacePath} was not opened in ${OPEN_TRIES_MAX} tries.`);
}

async function one(open: Workspace): Promise<void> {
  const roll = random.below(8);
  if (roll < 4) {
    return await timed('snapshot', async () => ({ made: [(await open.snapshot()).id] }));
  }
  if (roll < 6) {
    const states = open.list().filter(({ pinned }) => pinned);
    const target = random.pick(states).id;
    const mode = random.pick(['auto', 'in-place'] as const);
    const back = async (): Promise<Done> => {
      return { made: [(await open.rollback(target, { mode })).precautionary] };
    };
    return await timed('rollback', back);
  }
  if (roll < 7) {
    return await timed('undo', async () => ({ made: [(await open.undo()).precautionary] }));
  }
  const doomed = own.shift();
  if (doomed === undefined) return;
  await timed('delete', async () => {
    return { deleted: (await open.prune({ specs: [doomed] })).deleted };
  });
}

interface Done {
  readonly made?: readonly string[];
  readonly deleted?: readonly string[];
}

async function timed(what: CrowdAnswer['what'], work: () => Promise<Done>): Promise<void> {
  const startedMs = performance.now();
  let done: Done = {};
  let code: string | null = null;
  try {
    done = await work();
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    code = error.code;
  }
  own.push(...(done.made ?? []));
  const answer: CrowdAnswer = {
    ...{ what, made: done.made ?? [], deleted: done.deleted ?? [], code },
    ms: performance.now() - startedMs,
  };
  console.log(JSON.stringify(answer));
}
