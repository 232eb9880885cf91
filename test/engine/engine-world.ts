/** A workspace on the simulated disk and catalog, without faults: what engine tests look at. */
import type { WorkspaceRef } from '../../src/backend/backend.ts';
import { nextUlid, workspaceId } from '../../src/core/ids.ts';
import { KEEP_EVERYTHING_POLICY } from '../../src/core/retention/policy.ts';
import { EngineWorkspace } from '../../src/engine/engine-workspace.ts';
import type { Locks } from '../../src/engine/ports.ts';
import { WorkspaceSession } from '../../src/engine/workspace-session.ts';
import { SimBackend, type SimTree } from '../sim/sim-backend.ts';
import { SimCatalog } from '../sim/sim-catalog.ts';
import { SimFaults } from '../sim/sim-faults.ts';
import { SimRandom } from '../sim/sim-random.ts';

export interface EngineWorld {
  readonly workspace: EngineWorkspace;
  readonly backend: SimBackend;
  readonly catalog: SimCatalog;
  readonly faults: SimFaults;
  readonly ref: WorkspaceRef;
  /** The live tree, to edit. */
  live(): SimTree;
}

const FREE_LOCKS: Locks = {
  acquire: (name) => Promise.resolve({ name, [Symbol.dispose]() {} }),
  acquireSync: (name) => ({ name, [Symbol.dispose]() {} }),
};

export async function makeEngineWorld(): Promise<EngineWorld> {
  const random = new SimRandom(1);
  const faults = new SimFaults(random, { crashOneIn: 0, failOneIn: 0 });
  const backend = new SimBackend(faults, () => Promise.resolve());
  const catalog = new SimCatalog(faults);
  const id = workspaceId(nextUlid('', 1, new Uint8Array(10)));
  const ref = { id, path: '/sim', poolRoot: '/pool' };
  let nowMs = 1_000_000;
  const tick = (): number => {
    nowMs += 1;
    return nowMs;
  };
  const session = new WorkspaceSession(ref, {
    backend,
    catalog,
    locks: FREE_LOCKS,
    clock: { nowMs: tick, monotonicMs: tick },
    entropy: { ulidRandom: () => random.bytes(10) },
  });
  const workspace = new EngineWorkspace({
    session,
    info: { workspace: id, path: '/sim', backend: 'memory', pool: 'sim', poolRoot: '/pool' },
    policy: KEEP_EVERYTHING_POLICY,
    release: async () => {},
    releaseSync: () => {},
    onPruneDue: () => {},
    forget: () => {},
  });
  await workspace.create({ move: null, work: {} });
  return { workspace, backend, catalog, faults, ref, live: () => backend.of(id).live };
}
