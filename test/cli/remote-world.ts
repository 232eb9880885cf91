/**
 * A service as a process of its own, with certificates of `ghostsnap cert`, on a store pool, and the built
 * program as its remote command line. No root: everything lies below one temporary folder.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type Client, createClient } from '../../src/api/client/client.ts';
import { freePort } from '../free-port.ts';
import type { CliResult } from './run-cli.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/ghostsnap.js', import.meta.url));

export type As = 'operator' | 'agent' | 'reader' | 'stranger';

interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly onSpawn?: (child: ChildProcess) => void;
}

export class RemoteWorld implements AsyncDisposable {
  readonly base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-remote-'));
  /** The workspace that most tests use: adopted, called "project". */
  readonly path = join(this.base, 'work', 'project');
  workspace = '';
  url = '';
  #service: ChildProcess | null = null;
  readonly #clients: Client[] = [];

  static async make(): Promise<RemoteWorld> {
    const world = new RemoteWorld();
    await world.#issueCertificates();
    await world.#configure();
    await world.start();
    mkdirSync(join(world.path, 'src'), { recursive: true });
    writeFileSync(join(world.path, 'src', 'main.ts'), 'one\ntwo\n');
    const adopt = { path: world.path, name: 'project' };
    world.workspace = (await world.client('operator').adoptWorkspace(adopt)).workspace;
    return world;
  }

  /** Runs the built program as somebody on another machine would: a home of its own, one client file. */
  async remote(
    args: readonly string[],
    as: As = 'operator',
    more: RunOptions = {},
  ): Promise<CliResult> {
    const env = { ...this.elsewhere(as), ...more.env };
    return await run(args, { cwd: '/', ...more, env });
  }

  /** The same about the project, and it must succeed; gives standard output. */
  async there(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.remote([
      '--server',
      'config',
      '-w',
      'project',
      ...args,
    ]);
    expect(status, `ghostsnap ${args.join(' ')}: ${stderr}`).toBe(0);
    return stdout;
  }

  /** On the host, in the project; the service holds its pool while it runs. */
  async here(args: readonly string[]): Promise<CliResult> {
    return await run(args, { cwd: this.path, env: this.#hostEnv() });
  }

  elsewhere(as: As): Record<string, string | undefined> {
    return {
      GHOSTSNAP_HOME: join(this.base, 'elsewhere'),
      GHOSTSNAP_CLIENT_CONFIG: join(this.base, `${as}.json`),
    };
  }

  client(as: As): Client {
    const read = (file: string): string => readFileSync(join(this.base, 'ca', file), 'utf8');
    const tls = { cert: read(`${as}.crt`), key: read(`${as}.key`), ca: read('ca.crt') };
    const client = createClient({ endpoints: [this.url], tls });
    this.#clients.push(client);
    return client;
  }

  async start(): Promise<void> {
    const config = join(this.base, 'service.json');
    const service = spawn(process.execPath, [PROGRAM, 'serve', '--config', config], {
      ...{ cwd: this.base, stdio: ['ignore', 'pipe', 'pipe'] },
      env: { ...process.env, ...this.#hostEnv() },
    });
    this.#service = service;
    const ready = Promise.withResolvers<void>();
    let said = '';
    for (const stream of [service.stdout, service.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said += `${line}\n`;
        if (line.includes('"serving"')) ready.resolve();
      });
    }
    service.once('exit', (code) => ready.reject(new Error(`ended with ${code}: ${said}`)));
    await ready.promise;
  }

  async stop(): Promise<void> {
    const service = this.#service;
    this.#service = null;
    if (service === null || service.exitCode !== null) return;
    const ended = once(service, 'exit');
    service.kill('SIGTERM');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.stop();
    rmSync(this.base, { recursive: true, force: true });
  }

  #hostEnv(): Record<string, string | undefined> {
    const named = { GHOSTSNAP_TOOL: undefined, GHOSTSNAP_SESSION: undefined };
    const home = join(this.base, 'home');
    return {
      ...named,
      GHOSTSNAP_CALL: undefined,
      GHOSTSNAP_HOME: home,
      GHOSTSNAP_SERVER: undefined,
    };
  }

  async #issueCertificates(): Promise<void> {
    const at = ['--ca', join(this.base, 'ca')];
    await this.#ok(['cert', 'init', ...at]);
    await this.#ok(['cert', 'issue', 'host', ...at, '--server', 'localhost']);
    for (const role of ['operator', 'agent', 'reader']) {
      await this.#ok(['cert', 'issue', role, ...at, '--client', `spiffe://a.example/blue/${role}`]);
    }
    const other = ['--ca', join(this.base, 'other')];
    await this.#ok(['cert', 'init', ...other]);
    await this.#ok([
      'cert',
      'issue',
      'stranger',
      ...other,
      '--client',
      'spiffe://a.example/blue/operator',
    ]);
  }

  async #configure(): Promise<void> {
    const port = await freePort();
    this.url = `https://localhost:${port}`;
    mkdirSync(join(this.base, 'work', 'seed'), { recursive: true });
    const seed = ['init', join(this.base, 'work', 'seed'), '--backend', 'store', '--json'];
    const { pool } = JSON.parse(await this.#ok(seed)) as { readonly pool: string };
    const rules = ['operator', 'agent', 'reader'].map((role) => ({
      ...{ id: `spiffe://a.example/{tenant}/${role}`, role },
    }));
    const access = join(this.base, 'access.json');
    writeFileSync(access, JSON.stringify({ format: 1, trustDomain: 'a.example', rules }));
    const ca = (file: string): string => join(this.base, 'ca', file);
    const listen = {
      ...{ host: '127.0.0.1', port, certificate: ca('host.crt'), key: ca('host.key') },
      ...{ clientCa: ca('ca.crt'), access, audit: this.audit },
    };
    const config = {
      format: 1,
      socket: null,
      pools: [pool],
      adoptBelow: [join(this.base, 'work')],
    };
    writeFileSync(join(this.base, 'service.json'), JSON.stringify({ ...config, listen }));
    for (const as of ['operator', 'agent', 'reader']) this.writeClientFile(as, 'ca');
    this.writeClientFile('stranger', 'other');
  }

  get audit(): string {
    return join(this.base, 'audit.log');
  }

  writeClientFile(as: string, folder: string): void {
    const tls = {
      ...{ certFile: join(folder, `${as}.crt`), keyFile: join(folder, `${as}.key`) },
      caFile: 'ca/ca.crt',
    };
    const config = { endpoints: [this.url], tls };
    writeFileSync(join(this.base, `${as}.json`), JSON.stringify(config));
  }

  async #ok(args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await run(args, { cwd: this.base, env: this.#hostEnv() });
    if (status !== 0) throw new Error(`ghostsnap ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
}

async function run(args: readonly string[], options: RunOptions): Promise<CliResult> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    ...{ cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] },
    env: { ...process.env, NO_COLOR: undefined, GHOSTSNAP_SERVER: undefined, ...options.env },
  });
  options.onSpawn?.(child);
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [status, signal] = (await closed) as [number | null, NodeJS.Signals | null];
  return { status, signal, stdout, stderr };
}
