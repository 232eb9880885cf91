/**
 * `node bench/where-time-goes.ts [FILES]`: for each operation, what its time and memory went into.
 *
 * Each is done several times in this process under V8's sampling profilers; a sample belongs to the
 * innermost of the product's own parts that it was taken in. What is no sample of JavaScript is waiting:
 * for threads that are inside an ioctl or a sync, and so for the filesystem. The table is read beside
 * docs/performance.md; its times are those of one machine on one day.
 */
import { execFileSync } from 'node:child_process';
import { type HeapProfiler, type Profiler, Session } from 'node:inspector/promises';
import { initWorkspace, openWorkspace, type Workspace } from '../src/index.ts';
import { makePlace, type Place } from './place.ts';
import { currentLoad } from './report.ts';
import { editFile, makeFiles, wipe } from './tree.ts';

const ROUNDS = 8;
const SAMPLE_MICROSECONDS = 200;
const CHANGES = 10;

/** The first that fits, from the innermost frame outwards. */
const PARTS: readonly (readonly [part: string, url: RegExp])[] = [
  ['system calls', /\/backend\/(syscall|directory-fds|entry-xattrs)/],
  ['catalog', /\/src\/catalog\//],
  ['locks', /\/src\/locks\//],
  ['own code', /\/src\//],
];
const WAITING = 'waiting';
const GC = 'GC';
const REST = 'Node';
const COLUMNS = [WAITING, ...PARTS.map(([part]) => part), GC, REST];

interface Operation {
  readonly what: string;
  readonly rounds?: number;
  readonly before: (round: number) => void;
  readonly run: () => Promise<unknown>;
}

interface Spent {
  wallMs: number;
  cpuMs: number;
  allocatedKib: number;
  readonly partsMs: Map<string, number>;
}

const session = new Session();
session.connect();

/** Sums over the rounds; one before them is not counted, since code is compiled in it. */
async function measure({ before, run }: Operation, rounds: number): Promise<Spent> {
  before(0);
  await run();
  const spent: Spent = { wallMs: 0, cpuMs: 0, allocatedKib: 0, partsMs: new Map() };
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS });
  for (let round = 1; round <= rounds; round += 1) {
    before(round);
    await session.post('Profiler.start');
    const cpu = process.cpuUsage();
    const startUs = nowUs();
    await run();
    const endUs = nowUs();
    spent.wallMs += (endUs - startUs) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    spent.cpuMs += (user + system) / 1000;
    addParts(spent.partsMs, (await session.post('Profiler.stop')).profile, { startUs, endUs });
  }
  before(rounds + 1);
  await session.post('HeapProfiler.startSampling', {
    samplingInterval: 4096,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  await run();
  const { profile } = await session.post('HeapProfiler.stopSampling');
  spent.allocatedKib = bytesOf(profile.head) / 1024;
  return spent;
}

function bytesOf(node: HeapProfiler.SamplingHeapProfileNode): number {
  return node.children.reduce((sum, child) => sum + bytesOf(child), node.selfSize);
}

/** The clock of the profiler's time stamps. */
function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** What was sampled while the operation ran: the profiler's own coming and going is left out. */
function addParts(
  partsMs: Map<string, number>,
  profile: Profiler.Profile,
  span: { readonly startUs: number; readonly endUs: number },
): void {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map<number, number>();
  for (const { id, children } of profile.nodes) {
    for (const child of children ?? []) parents.set(child, id);
  }
  const partOf = (id: number): string => {
    const name = nodes.get(id)?.callFrame.functionName;
    if (name === '(idle)') return WAITING;
    if (name === '(garbage collector)') return GC;
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const url = nodes.get(at)?.callFrame.url ?? '';
      const part = PARTS.find(([, place]) => place.test(url));
      if (part !== undefined) return part[0];
    }
    return REST;
  };
  let atUs = profile.startTime;
  for (const [i, id] of (profile.samples ?? []).entries()) {
    const fromUs = Math.max(atUs, span.startUs);
    atUs += profile.timeDeltas?.[i] ?? 0;
    const ms = (Math.min(atUs, span.endUs) - fromUs) / 1000;
    if (ms <= 0) continue;
    const part = partOf(id);
    partsMs.set(part, (partsMs.get(part) ?? 0) + ms);
  }
}

function operationsOn(what: string, workspace: Workspace, paths: readonly string[]): Operation[] {
  const root = workspace.info.path;
  const target = workspace.snapshot();
  const edit = (round: number, count: number): void => {
    for (let i = 0; i < count; i += 1) {
      editFile(root, paths[((round * count + i) * 104_729) % paths.length] ?? '');
    }
    execFileSync('sync');
  };
  const back = (mode: 'in-place' | 'swap') => async (): Promise<unknown> =>
    workspace.rollback((await target).id, { mode });
  const swap: Operation = {
    what: `${what}: rollback by swap after rm -rf`,
    rounds: 3,
    before: () => wipe(root),
    run: back('swap'),
  };
  return [
    {
      what: `${what}: snapshot, one file changed`,
      before: (round) => edit(round, 1),
      run: () => workspace.snapshot(),
    },
    {
      what: `${what}: rollback in place of ${CHANGES} changes`,
      before: (round) => edit(round, CHANGES),
      run: back('in-place'),
    },
    {
      what: `${what}: diff of ${CHANGES} changes with the live tree`,
      before: (round) => edit(round, CHANGES),
      run: async () => {
        for await (const _ of workspace.diff((await target).id));
      },
    },
    {
      what: `${what}: rollback in place after rm -rf`,
      rounds: 1,
      before: () => wipe(root),
      run: back('in-place'),
    },
    ...(what === 'btrfs' ? [swap] : []),
  ];
}

async function tableOf(backend: 'btrfs' | 'store', place: Place, count: number): Promise<void> {
  const base = backend === 'btrfs' ? place.btrfs : place.plain;
  const path = place.makeDirectory(base, 'work');
  const paths = makeFiles(path, count);
  const { environment } = place;
  await initWorkspace({ path, backend, environment });
  await using workspace = await openWorkspace({ workspace: path, environment });
  for (const operation of operationsOn(backend, workspace, paths)) {
    const rounds = operation.rounds ?? ROUNDS;
    const { wallMs, cpuMs, allocatedKib, partsMs } = await measure(operation, rounds);
    const shares = COLUMNS.map(
      (part) => `${Math.round(((partsMs.get(part) ?? 0) / wallMs) * 100)}`,
    );
    const mean = (ms: number): string => Number((ms / rounds).toPrecision(3)).toString();
    const cells = [operation.what, mean(wallMs), mean(cpuMs), ...shares, allocatedKib.toFixed(0)];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

const count = Number(process.argv[2] ?? '100000');
console.log(`${count} files, load average ${currentLoad().toFixed(1)}\n`);
const head = ['operation', 'wall ms', 'CPU ms', ...COLUMNS.map((c) => `${c} %`), 'KiB allocated'];
console.log(`| ${head.join(' | ')} |\n| ${head.map(() => '---').join(' | ')} |`);
{
  await using place = await makePlace({ btrfsMiB: 6144 });
  await tableOf('btrfs', place, count);
}
{
  await using place = await makePlace({ btrfsMiB: 0 });
  await tableOf('store', place, count);
}
