/**
 * `ghostsnap serve` as a process of its own on a real pool, with certificates for two tenants: for tests in
 * which the service is killed, starved, or sent what nobody should send.
 *
 * The port stays the same over its lives, so that clients ride through. Everything it wrote to its log is
 * kept: a defect that no answer shows is told there.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Client, createClient } from '../../src/api/client/client.ts';
import { createPool, destroyPool, type Environment, initWorkspace } from '../../src/index.ts';
import { TlsWorld } from '../api/tls/tls-world.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'ghostsnap.js');
export const POOL = 'served';
const POOL_BYTES = 512 * 2 ** 20;
export const TENANTS = ['blue', 'red'] as const;
export const ROLES = ['agent', 'operator', 'reader'] as const;
export type PrincipalName = `${(typeof TENANTS)[number]}-${(typeof ROLES)[number]}`;

export interface ServingOptions {
  readonly poolBytes?: number;
  /** Of its configuration; asked for once everything is prepared. */
  readonly config?: Readonly<Record<string, unknown>> | (() => Readonly<Record<string, unknown>>);
  /** What has to be there before it starts, made with its home. */
  readonly prepare?: (environment: Environment) => Promise<void>;
  /** Of the service's process, beside this one's. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface UnixAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

export class ServingProcess implements AsyncDisposable {
  readonly base: string;
  readonly environment: Environment;
  readonly socket: string;
  readonly certificates: TlsWorld;
  readonly log: Record<string, unknown>[] = [];
  poolRoot = '';
  /** A workspace that every tenant may clone. */
  template = '';
  port = 0;
  #child: ChildProcess | null = null;
  readonly #env: Readonly<Record<string, string>>;
  readonly #clients: Client[] = [];

  private constructor(options: ServingOptions, certificates: TlsWorld) {
    this.base = mkdtempSync(join(tmpdir(), 'ghostsnap-serving-'));
    this.certificates = certificates;
    this.#env = options.env ?? {};
    this.socket = join(this.base, 'service.sock');
    const home = join(this.base, 'home');
    mkdirSync(home);
    const env = { ...process.env, GHOSTSNAP_HOME: home, NOTIFY_SOCKET: undefined };
    this.environment = { env, cwd: this.base, homeDir: this.base, uid: process.getuid?.() ?? 0 };
  }

  static async make(options: ServingOptions = {}): Promise<ServingProcess> {
    const serving = new ServingProcess(options, await TlsWorld.create());
    const { base, environment } = serving;
    const directory = join(base, 'pool');
    mkdirSync(directory);
    const sizeBytes = options.poolBytes ?? POOL_BYTES;
    const pool = await createPool({ name: POOL, environment, directory, sizeBytes });
    serving.poolRoot = pool.root;
    const path = join(pool.root, 'template');
    mkdirSync(join(path, 'src'), { recursive: true });
    writeFileSync(join(path, 'src', 'a.txt'), 'template');
    serving.template = (await initWorkspace({ path, pool: POOL, environment })).workspace;
    await options.prepare?.(environment);
    const { config = {} } = options;
    await serving.#configure(typeof config === 'function' ? config() : config);
    await serving.start();
    return serving;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** null: it runs. */
  get ended(): string | null {
    const child = this.#child;
    if (child === null) return 'it was not started';
    const isRunning = child.exitCode === null && child.signalCode === null;
    return isRunning ? null : `it ended with ${child.exitCode ?? child.signalCode}`;
  }

  /** What the log calls errors: the service never writes one for what a caller did. */
  get defects(): readonly Record<string, unknown>[] {
    return this.log.filter(({ level }) => level === 'error');
  }

  async start(): Promise<void> {
    const args = [PROGRAM, 'serve', '--config', join(this.base, 'service.json')];
    const { env } = this.environment;
    const child = spawn(process.execPath, args, {
      env: { ...env, UV_THREADPOOL_SIZE: '64', ...this.#env },
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    this.#child = child;
    const ready = Promise.withResolvers<void>();
    createInterface({ input: child.stderr }).on('line', (line) => {
      const entry = parseLine(line);
      this.log.push(entry);
      if (entry.message === 'serving') ready.resolve();
    });
    child.once('exit', (code, signal) => {
      const said = JSON.stringify(this.log.slice(-3));
      ready.reject(new Error(`The service ended with ${code ?? signal}: ${said}`));
    });
    await ready.promise;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === null || this.ended !== null) return;
    const ended = once(child, 'close');
    child.kill(signal);
    await ended;
  }

  /** What the kernel says that it holds. */
  use(): { readonly rssBytes: number; readonly descriptors: number } {
    const status = readFileSync(`/proc/${this.pid}/status`, 'latin1');
    return {
      rssBytes: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024,
      descriptors: readdirSync(`/proc/${this.pid}/fd`).length,
    };
  }

  client(name: PrincipalName): Client {
    const tls = this.certificates.credentials(name);
    const client = createClient({ endpoints: [`https://localhost:${this.port}`], tls });
    this.#clients.push(client);
    return client;
  }

  /** One plain request on the unix socket. */
  async ask(method: string, path: string, headers: http.OutgoingHttpHeaders = {}, body = '') {
    const request = http.request({ socketPath: this.socket, method, path, headers, agent: false });
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const { statusCode: status = 0 } = response;
    return { status, headers: response.headers, text } satisfies UnixAnswer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.stop('SIGKILL');
    await this.certificates[Symbol.asyncDispose]();
    rmSync(join(this.base, 'home', 'workspaces'), { recursive: true, force: true });
    await destroyPool({ name: POOL, environment: this.environment, force: 'yes' });
    rmSync(this.base, { recursive: true, force: true });
  }

  async #configure(config: Readonly<Record<string, unknown>>): Promise<void> {
    const { certificates } = this;
    for (const tenant of TENANTS) {
      for (const role of ROLES) {
        const client = `spiffe://a.example/${tenant}/${role}`;
        await certificates.issue(`${tenant}-${role}`, { client });
      }
    }
    const access = join(certificates.folder, 'access.json');
    const rules = ROLES.map((role) => ({ id: `spiffe://a.example/{tenant}/${role}`, role }));
    writeFileSync(access, JSON.stringify({ format: 1, trustDomain: 'a.example', rules }));
    this.port = await freePort();
    const { ca: clientCa, ...files } = certificates.files();
    const listen = { host: '127.0.0.1', port: this.port, ...files, clientCa, access };
    const whole = { format: 1, socket: this.socket, pools: [POOL], drainSeconds: 5, listen };
    writeFileSync(join(this.base, 'service.json'), JSON.stringify({ ...whole, ...config }));
  }
}

/** What is no JSON is what a crashing process says. */
function parseLine(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { level: 'error', message: line };
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
