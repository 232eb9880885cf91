/**
 * What the program costs as a process: start-up, memory, and bytes allocated for each snapshot.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { initWorkspace } from '../../src/index.ts';
import { type BenchCase, homeOf, rounds, runChild } from '../context.ts';
import { formatNs, formatSpread, type Row, spreadOf } from '../measure.ts';
import { makePlace } from '../place.ts';
import { makeFiles } from '../tree.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'ghostsnap.js');
const START_UP_MS_MAX = 90;
const CLI_MB_MAX = 90;
const ENGINE_MB_MAX = 120;
const IDLE_WORKSPACES = 50_000;
/** As a service is started: the young generation would keep what building 50,000 workspaces made it grow to. */
const SERVICE_HEAP = '--max-semi-space-size=4';

export const startUp: BenchCase = {
  name: 'start-up',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 1024 });
    const { environment } = place;
    const workspace = place.makeDirectory(place.btrfs, 'work');
    makeFiles(workspace, 100);
    await initWorkspace({ path: workspace, backend: 'btrfs', environment });
    const env = { GHOSTSNAP_HOME: homeOf(place) };
    const command = [process.execPath, PROGRAM, 'snap', '-w', workspace];
    const snaps: number[] = [];
    const nodes: number[] = [];
    let rssKib = 0;
    // The first one fills the compile cache, as the first use after an installation does.
    context.c.measure(command, { env });
    for (let round = 0; round < rounds(context, 21); round += 1) {
      nodes.push(context.c.measure([process.execPath, '-e', '0']).wallNs);
      const measured = context.c.measure(command, { env });
      snaps.push(measured.wallNs);
      rssKib = Math.max(rssKib, measured.rssKib);
    }
    const bare = place.makeDirectory(place.btrfs, 'bare');
    const pairs = [{ workspace, parent: bare }];
    const ioctl = context.c.snapshotLoop({ count: 30, touch: '-', prefix: 'c', pairs });
    const own = { name: 'ghostsnap snap', samplesNs: snaps };
    const node = { name: 'node -e 0', samplesNs: nodes };
    const snapshot = spreadOf({ name: 'bare ioctl', samplesNs: ioctl.samplesNs }).p50Ns;
    const overheadMs = (spreadOf(own).p50Ns - snapshot) / 1e6;
    const rssMb = (rssKib * 1024) / 1e6;
    return [
      {
        what: 'ghostsnap snap as a whole process, without the snapshot itself',
        ours: formatSpread(spreadOf(own)),
        baseline: `node -e 0: ${formatSpread(spreadOf(node))}; bare ioctl: ${formatNs(snapshot)}`,
        result: `${overheadMs.toFixed(0)} ms`,
        reach: { text: `<= ${START_UP_MS_MAX} ms`, isMet: overheadMs <= START_UP_MS_MAX },
        series: [own, node],
      },
      {
        what: 'memory of ghostsnap snap, largest resident set',
        ours: `${rssMb.toFixed(0)} MB`,
        baseline: '',
        result: `${rssMb.toFixed(0)} MB`,
        reach: { text: `<= ${CLI_MB_MAX} MB`, isMet: rssMb <= CLI_MB_MAX },
        series: [],
      },
    ];
  },
};

export const engineMemory: BenchCase = {
  name: 'engine-memory',
  needs: 'nothing',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 0 });
    const count = context.size === 'quick' ? IDLE_WORKSPACES / 10 : IDLE_WORKSPACES;
    const home = homeOf(place);
    mkdirSync(home, { recursive: true });
    const { emptyBytes, rssBytes } = runChild<{ emptyBytes: number; rssBytes: number }>(
      'idle-engines',
      { count, base: place.plain },
      { nodeFlags: ['--expose-gc', SERVICE_HEAP], env: { GHOSTSNAP_HOME: home } },
    );
    const mb = rssBytes / 1e6;
    return [
      {
        what: `memory of an engine holding ${count.toLocaleString('en')} idle workspaces (${SERVICE_HEAP})`,
        ours: `${mb.toFixed(0)} MB, ${((rssBytes - emptyBytes) / count).toFixed(0)} bytes each`,
        baseline: `the same process without workspaces: ${(emptyBytes / 1e6).toFixed(0)} MB`,
        result: `${mb.toFixed(0)} MB`,
        reach: { text: `<= ${ENGINE_MB_MAX} MB`, isMet: mb <= ENGINE_MB_MAX },
        series: [],
      },
    ];
  },
};

export const allocation: BenchCase = {
  name: 'allocation',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 1024 });
    const { environment } = place;
    const workspace = place.makeDirectory(place.btrfs, 'work');
    makeFiles(workspace, 10);
    await initWorkspace({ path: workspace, backend: 'btrfs', environment });
    const { bytesPerSnapshot, collections } = runChild<{
      bytesPerSnapshot: number;
      collections: number;
    }>(
      'allocation',
      { workspace, count: rounds(context, 200) },
      {
        nodeFlags: ['--expose-gc', '--max-semi-space-size=256', '--min-semi-space-size=256'],
        env: { GHOSTSNAP_HOME: homeOf(place) },
      },
    );
    return [
      {
        what: 'heap bytes allocated for one btrfs createSnapshot',
        ours: `${bytesPerSnapshot.toFixed(0)} bytes`,
        baseline: collections === 0 ? '' : `${collections} collections came between: too low`,
        result: `${bytesPerSnapshot.toFixed(0)} bytes`,
        reach: null,
        series: [],
      },
    ];
  },
};
