/**
 * What a hook adds to a tool call, by each way a harness may take: the event before the tool, from the
 * harness's side, all included, on a workspace that is open in the daemon.
 *
 * The call's end is reported and waited for between two measurements, as a harness does. Then a model
 * thinks, which is when the next snapshot is armed. One file changes before every other call, so that half
 * of them find nothing armed that they may adopt.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as think } from 'node:timers/promises';
import { daemonPlace } from '../../src/daemon/daemon-place.ts';
import { resolveHome } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/index.ts';
import { type BenchCase, homeOf, rounds } from '../context.ts';
import { formatSpread, type Row, spreadOf } from '../measure.ts';
import { makePlace } from '../place.ts';
import { makeFiles } from '../tree.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'ghostsnap.js');
const FILES = 1000;
/** Milliseconds; long enough for arming, far shorter than a model takes. */
const THINK_MS = 200;

type Send = (event: string, key: string) => Promise<void>;
type Kind = 'fresh' | 'armed';

interface Way {
  readonly name: string;
  readonly reach: Readonly<Record<Kind, string>>;
  readonly send: Send;
}

const PLUGIN_REACH = { reach: { fresh: 'p99 <= 5 ms', armed: 'p99 <= 1 ms' } };

export const hookWays: BenchCase = {
  name: 'hook-ways',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 1024 });
    const workspace = place.makeDirectory(place.btrfs, 'work');
    makeFiles(workspace, FILES);
    await initWorkspace({ path: workspace, backend: 'btrfs', environment: place.environment });
    const user = place.makeDirectory(place.btrfs, 'user');
    const { XDG_RUNTIME_DIR: _runtime, ...rest } = process.env;
    const env = { ...rest, GHOSTSNAP_HOME: homeOf(place), HOME: user };
    const run = (args: readonly string[]): string =>
      execFileSync(process.execPath, [PROGRAM, ...args], { env, encoding: 'utf8' });
    run(['hook', 'install', 'claude-code', '--http', '--yes']);
    run(['daemon', 'start']);
    try {
      const environment = { ...place.environment, env };
      const { socket, httpRecord } = daemonPlace(resolveHome(environment), environment);
      const access = JSON.parse(readFileSync(httpRecord, 'utf8')) as {
        port: number;
        token: string;
      };
      const payload = (event: string, key: string): string =>
        JSON.stringify({
          ...{ session_id: 'bench', cwd: workspace, hook_event_name: event, tool_name: 'Bash' },
          ...{ tool_input: { command: 'make' }, tool_use_id: key },
        });
      const script = join(homeOf(place), 'hooks', 'ghostsnap-hook.sh');
      const ways: readonly Way[] = [
        {
          name: 'over loopback HTTP',
          ...PLUGIN_REACH,
          send: httpSend({ port: access.port }, access.token, payload),
        },
        {
          name: 'from a plugin, over the socket',
          ...PLUGIN_REACH,
          send: httpSend({ socketPath: socket }, '', payload),
        },
        {
          name: 'by the script with curl',
          reach: { fresh: 'p50 <= 15 ms', armed: 'p50 <= 15 ms' },
          send: commandSend(['/bin/sh', script], env, payload),
        },
        {
          name: 'by Node, the daemon running',
          reach: { fresh: 'p50 <= 80 ms', armed: 'p50 <= 80 ms' },
          send: commandSend([process.execPath, PROGRAM, 'hook', 'run'], env, payload),
        },
      ];
      const samples = ways.map(() => ({ fresh: [] as number[], armed: [] as number[] }));
      for (let round = 0; round < rounds(context, 60); round += 1) {
        for (const [index, { send }] of ways.entries()) {
          for (const kind of ['fresh', 'armed'] as const) {
            await think(THINK_MS);
            if (kind === 'fresh') writeFileSync(join(workspace, 'edited'), `${round} ${index}\n`);
            const key = `${round}-${index}-${kind}`;
            const startedNs = process.hrtime.bigint();
            await send('PreToolUse', key);
            samples[index]?.[kind].push(Number(process.hrtime.bigint() - startedNs));
            await send('PostToolUse', key);
          }
        }
      }
      return (['fresh', 'armed'] as const).flatMap((kind) =>
        ways.map((way, index) => rowOf(way, kind, samples[index]?.[kind] ?? [])),
      );
    } finally {
      run(['daemon', 'stop']);
    }
  },
};

function rowOf(way: Way, kind: Kind, samplesNs: readonly number[]): Row {
  const own = { name: `${way.name}, ${kind}`, samplesNs: [...samplesNs] };
  const spread = spreadOf(own);
  const reach = way.reach[kind];
  const [which = '', , limit = '0'] = reach.split(' ');
  const measuredMs = (which === 'p99' ? spread.p99Ns : spread.p50Ns) / 1e6;
  const snapshot = kind === 'fresh' ? 'a fresh snapshot' : 'an armed one adopted';
  return {
    what: `added to a tool call ${way.name}, ${FILES} files, ${snapshot}`,
    ours: formatSpread(spread),
    baseline: '',
    result: `${which} ${measuredMs.toFixed(1)} ms`,
    reach: { text: reach, isMet: measuredMs <= Number(limit) },
    series: [own],
  };
}

function httpSend(
  at: { readonly socketPath: string } | { readonly port: number },
  token: string,
  payload: (event: string, key: string) => string,
): Send {
  const agent = new http.Agent({ keepAlive: true });
  return async (event, key) => {
    const request = http.request({
      ...{ ...at, host: '127.0.0.1', method: 'POST', path: `/hook/claude-code/${event}`, agent },
      headers: { authorization: `Bearer ${token}` },
    });
    request.end(payload(event, key));
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    await once(response, 'end');
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  };
}

function commandSend(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
  payload: (event: string, key: string) => string,
): Send {
  const [program = '', ...args] = command;
  return async (event, key) => {
    const input = payload(event, key);
    const done = spawnSync(program, [...args, 'claude-code', event], { env, input });
    if (done.status !== 0 || done.stdout.toString() !== '{}') {
      throw new Error(`${program} said ${done.stdout.toString()} ${done.stderr.toString()}`);
    }
  };
}
