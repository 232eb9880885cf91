/** A workspace on the simulated disk and catalog, without faults: what engine tests look at. */
import type { WorkspaceRef } from '../../src/backend/backend.ts';
import { assert, type ErrorCode, GhostsnapError } from '../../src/core/errors.ts';
import { nextUlid, workspaceId } from '../../src/core/ids.ts';
import type { BisectUnderWay } from '../../src/core/retention/keep-bisected.ts';
import { KEEP_EVERYTHING_POLICY, type RetentionPolicy } from '../../src/core/retention/policy.ts';
import type { WorkspaceState } from '../../src/core/state.ts';
import { EngineWorkspace } from '../../src/engine/engine-workspace.ts';
import type { Lock, LockOptions, Locks, Telemetry } from '../../src/engine/ports.ts';
import type { WorkspaceHost } from '../../src/engine/workspace-host.ts';
import { type EnginePorts, WorkspaceSession } from '../../src/engine/workspace-session.ts';
import { SimBackend, SimDisk, type SimVolume } from '../sim/sim-backend.ts';
import { SimCatalog, SimCatalogStore } from '../sim/sim-catalog.ts';
import { SimGroupedCatalog } from '../sim/sim-grouped-catalog.ts';
import type { SimHost } from '../sim/sim-process.ts';
import { SimRandom } from '../sim/sim-random.ts';
import { contentOf, FILES, withContent } from '../sim/sim-tree.ts';

export interface EngineWorld {
  readonly workspace: EngineWorkspace;
  readonly backend: SimBackend;
  readonly catalog: SimCatalog;
  /** The next step of disk or catalog fails with this, once. */
  failNext(code: ErrorCode): void;
  /** Each step of this name fails so, until `code` is null. */
  failEach(label: string, code: ErrorCode | null): void;
  readonly ref: WorkspaceRef;
  /** The live tree, to edit. */
  live(): LiveFiles;
  /** The next lock is that of a process that died with it. */
  inheritNext(): void;
  /** Another workspace object on the same disk and catalog, as a later process has; not opened. */
  again(): EngineWorkspace;
  /** The workspace's state as it would be found if this process died now. */
  landed(): WorkspaceState;
  /** The same with an empty catalog, as when its file was deleted; not opened. */
  withoutCatalog(): EngineWorkspace;
}

/** The live tree's files by name: each new name takes the next of the simulated disk's files. */
class LiveFiles implements Iterable<readonly [string, number]> {
  readonly #volume: SimVolume;
  readonly #files = new Map<string, number>();

  constructor(volume: SimVolume) {
    this.#volume = volume;
  }

  set(name: string, content: number): void {
    const file = this.#files.get(name) ?? this.#files.size;
    assert(file < FILES, 'the simulated disk has files for all names');
    this.#files.set(name, file);
    this.#volume.live = withContent(this.#volume.live, file, content);
  }

  delete(name: string): void {
    this.set(name, 0);
  }

  *[Symbol.iterator](): Generator<readonly [string, number]> {
    for (const [name, file] of this.#files) {
      const content = contentOf(this.#volume.live, file);
      if (content !== 0) yield [name, content];
    }
  }
}

interface FoundLock {
  readonly isInherited: boolean;
  readonly isContinued: boolean;
}

function freeLock(name: string, found: FoundLock): Lock {
  return { name, ...found, leaveUnsettled() {}, [Symbol.dispose]() {} };
}

export interface EngineWorldOptions {
  readonly policy?: RetentionPolicy;
  readonly bisect?: () => BisectUnderWay | null;
  readonly telemetry?: Telemetry;
  /** 'grouped': a service's, where a commit lands some time after it was given. Default 'direct'. */
  readonly commits?: 'direct' | 'grouped';
  /** Milliseconds that pass each time somebody looks at the clock. Default 1. */
  readonly tickMs?: number;
}

export async function makeEngineWorld(options: EngineWorldOptions = {}): Promise<EngineWorld> {
  const random = new SimRandom(1);
  let failure: ErrorCode | null = null;
  const failing = new Map<string, ErrorCode>();
  const step = (label: string): void => {
    const code = failure ?? failing.get(label) ?? null;
    failure = null;
    if (code !== null) throw new GhostsnapError(code, `The simulated disk failed at ${label}.`);
  };
  const simHost: SimHost = { step, stepAlone: (_id, label) => step(label), pause: async () => {} };
  const disk = new SimDisk();
  const backend = new SimBackend(disk, simHost);
  const store = new SimCatalogStore();
  const catalog = new (options.commits === 'grouped' ? SimGroupedCatalog : SimCatalog)(
    store,
    simHost,
  );
  const id = workspaceId(nextUlid('', 1, new Uint8Array(10)));
  const ref = { id, path: '/sim', poolRoot: '/pool' };
  let nowMs = 1_000_000;
  const tick = (): number => {
    nowMs += options.tickMs ?? 1;
    return nowMs;
  };
  let isInherited = false;
  let last = 0;
  const lock = (name: string, { holder = 0 }: LockOptions): Lock => {
    // As a service's locks, which nobody else takes between.
    const isContinued = options.commits === 'grouped' && last === holder && !isInherited;
    const taken = freeLock(name, { isInherited, isContinued });
    last = holder;
    isInherited = false;
    return taken;
  };
  const locks: Locks = { acquire: async (name, asked) => lock(name, asked), acquireSync: lock };
  const ports: EnginePorts = {
    backend,
    catalog,
    locks,
    clock: { nowMs: tick, monotonicMs: tick },
    entropy: { ulidRandom: () => random.bytes(10) },
    ...(options.telemetry === undefined ? {} : { telemetry: options.telemetry }),
  };
  const workspaceHost: WorkspaceHost = {
    pool: 'sim',
    backend: 'memory',
    policy: () => options.policy ?? KEEP_EVERYTHING_POLICY,
    bisect: () => options.bisect?.() ?? null,
    locate: (_, text) => text,
    assertWritable: () => {},
    judging: { rulesWith: () => Promise.resolve({ rules: [], problems: [] }) },
    closing: () => {},
    release: async () => {},
    releaseSync: () => {},
    pruneDue: () => {},
    forget: () => {},
  };
  const again = (): EngineWorkspace =>
    new EngineWorkspace(new WorkspaceSession(ref, ports), workspaceHost);
  const withoutCatalog = (): EngineWorkspace => {
    const empty = { ...ports, catalog: new SimCatalog(new SimCatalogStore(), simHost) };
    return new EngineWorkspace(new WorkspaceSession(ref, empty), workspaceHost);
  };
  const workspace = again();
  await workspace.create({ make: null, work: {} });
  const files = new LiveFiles(disk.volume(id));
  return {
    ...{ workspace, backend, catalog, ref },
    landed: () => store.book(id).state,
    failEach: (label, code) => {
      if (code === null) failing.delete(label);
      else failing.set(label, code);
    },
    failNext: (code) => {
      failure = code;
    },
    live: () => files,
    again,
    withoutCatalog,
    inheritNext: () => {
      isInherited = true;
    },
  };
}
