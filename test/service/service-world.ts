/**
 * A service on a real pool: the real program's parts in this process, asked over its real unix socket.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { resolveHome } from '../../src/daemon/home.ts';
import { closePool, openPool, requirePool } from '../../src/daemon/open-pool.ts';
import { serve } from '../../src/daemon/serve.ts';
import { createPool, destroyPool, type Environment, initWorkspace } from '../../src/index.ts';

const POOL = 'served';
const CHILD_STDIO: SpawnOptions = { stdio: ['ignore', 'pipe', 'inherit'] };
const POOL_BYTES = 512 * 2 ** 20;

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  // Parsed JSON of an answer, looked at by each test.
  readonly body: Record<string, never> & { readonly [name: string]: unknown };
}

export interface AskOptions {
  readonly body?: unknown;
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export class ServiceWorld implements AsyncDisposable {
  readonly base: string;
  readonly environment: Environment;
  readonly socket: string;
  readonly configFile: string;
  readonly log: Record<string, unknown>[] = [];
  /** The template's path and id. */
  template = '';
  templatePath = '';
  poolRoot = '';
  #stop = new AbortController();
  #served: Promise<void> = Promise.resolve();
  #reload: () => void = () => undefined;
  #keys = 0;
  #children: ChildProcess[] = [];
  readonly #noted = new EventEmitter();

  private constructor(base: string) {
    this.base = base;
    const home = join(base, 'home');
    mkdirSync(home);
    const env = { ...process.env, GHOSTSNAP_HOME: home, NOTIFY_SOCKET: undefined };
    this.environment = { env, cwd: base, homeDir: base, uid: process.getuid?.() ?? 0 };
    this.socket = join(base, 'service.sock');
    this.configFile = join(base, 'service.json');
  }

  static async make(config: Readonly<Record<string, unknown>> = {}): Promise<ServiceWorld> {
    const world = new ServiceWorld(mkdtempSync(join(tmpdir(), 'ghostsnap-service-')));
    const { environment, base } = world;
    const directory = join(base, 'pool');
    mkdirSync(directory);
    const pool = await createPool({ name: POOL, environment, directory, sizeBytes: POOL_BYTES });
    world.poolRoot = pool.root;
    world.templatePath = join(pool.root, 'template');
    mkdirSync(join(world.templatePath, 'src'), { recursive: true });
    writeFileSync(join(world.templatePath, 'src', 'a.txt'), 'template');
    const { workspace } = await initWorkspace({
      ...{ path: world.templatePath, pool: POOL, environment },
    });
    world.template = workspace;
    world.configure(config);
    await world.start();
    return world;
  }

  configure(config: Readonly<Record<string, unknown>>): void {
    const whole = { format: 1, socket: this.socket, pools: [POOL], drainSeconds: 5, ...config };
    writeFileSync(this.configFile, JSON.stringify(whole));
  }

  async start(): Promise<void> {
    this.#stop = new AbortController();
    const ready = Promise.withResolvers<void>();
    this.#served = serve({
      environment: this.environment,
      configFile: this.configFile,
      version: '0.0.0-test',
      stop: this.#stop.signal,
      onReload: (reload) => {
        this.#reload = reload;
      },
      write: (line) => {
        if (this.#note(line).message === 'serving') ready.resolve();
      },
    });
    await Promise.race([ready.promise, this.#served]);
  }

  reload(): void {
    this.#reload();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#served;
  }

  /**
   * Another life of the service, in a process of its own. This process's one must have been stopped.
   * @param killAt a step at which it kills itself
   * @returns once it serves, or has killed itself before it did
   */
  async startChild(killAt = ''): Promise<ChildProcess> {
    const program = join(import.meta.dirname, 'serve-child.ts');
    const argv = [program, this.base, this.configFile, killAt];
    return await this.#serving(spawn(process.execPath, argv, CHILD_STDIO));
  }

  /** As a person starts it. @param env in addition */
  async launch(env: Readonly<Record<string, string>> = {}): Promise<ChildProcess> {
    const program = join(import.meta.dirname, '../../bin/ghostsnap.js');
    const argv = [program, 'serve', '--config', this.configFile];
    const { UV_THREADPOOL_SIZE: _unset, ...rest } = this.environment.env;
    const options: SpawnOptions = {
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...rest, ...env },
    };
    return await this.#serving(spawn(process.execPath, argv, options));
  }

  async #serving(child: ChildProcess): Promise<ChildProcess> {
    this.#children.push(child);
    const lines = createInterface({ input: (child.stdout ?? child.stderr)! });
    const ended = once(child, 'exit');
    const serving = new Promise<void>((resolve) => {
      lines.on('line', (line) => {
        if (this.#note(line).message === 'serving') resolve();
      });
    });
    await Promise.race([serving, ended]);
    return child;
  }

  /** A child that was killed, or is killed now. @returns its exit code; null: by a signal */
  async ended(child: ChildProcess, signal?: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      if (signal !== undefined) child.kill(signal);
      await exit;
    }
    return child.exitCode;
  }

  #note(line: string): Record<string, unknown> {
    const entry = JSON.parse(line) as Record<string, unknown>;
    this.log.push(entry);
    this.#noted.emit(String(entry.message), entry);
    return entry;
  }

  /** The first entry with this message, when there is one. */
  async logged(message: string): Promise<Record<string, unknown>> {
    const known = this.log.find((entry) => entry.message === message);
    if (known !== undefined) return known;
    const [entry] = await once(this.#noted, message);
    return entry as Record<string, unknown>;
  }

  newKey(): string {
    this.#keys += 1;
    return `key-${this.#keys}`;
  }

  async ask(method: string, path: string, options: AskOptions = {}): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const text = options.body === undefined ? '' : JSON.stringify(options.body);
    const key = options.key === undefined ? this.newKey() : options.key;
    const request = http.request({
      ...{ socketPath: this.socket, method, path, agent: false },
      headers: {
        ...(text === '' ? {} : { 'content-type': 'application/json' }),
        'content-length': Buffer.byteLength(text),
        ...(method === 'GET' || key === null ? {} : { 'idempotency-key': key }),
        ...options.headers,
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const whole = Buffer.concat(chunks).toString('utf8');
        const body = (whole === '' ? {} : JSON.parse(whole)) as Answer['body'];
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    request.end(text);
    return await promise;
  }

  /**
   * Keeps a workspace busy, as a long operation of its own would: whoever comes waits, in its place of its
   * lane, until it is let go.
   */
  async hold(id: string): Promise<{ letGo(): Promise<void> }> {
    const home = resolveHome(this.environment);
    // Of this process, so that it joins what the service holds.
    const pool = await openPool({ home, pool: requirePool(home, POOL), watch: 'on' });
    const lock = await pool.locks.acquire(id, { waitMs: 0, purpose: 'test' });
    return {
      letGo: async () => {
        lock[Symbol.dispose]();
        await closePool(pool);
      },
    };
  }

  /** A workspace from the template. @returns its id and path */
  async workspace(name?: string): Promise<{ readonly id: string; readonly path: string }> {
    const body = { template: this.template, ...(name === undefined ? {} : { name }) };
    const made = await this.ask('POST', '/v1/workspaces', { body });
    if (made.status !== 201) throw new Error(`not made: ${JSON.stringify(made.body)}`);
    return { id: String(made.body.workspace), path: String(made.body.path) };
  }

  async begin(
    id: string,
    key: string,
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<Answer> {
    const body = { session: 's', harness: 'test', tool: 'Bash', key, ...more };
    return await this.ask('POST', `/v1/workspaces/${id}/calls`, { body });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    for (const child of this.#children) await this.ended(child, 'SIGKILL');
    rmSync(join(this.base, 'home', 'workspaces'), { recursive: true, force: true });
    await destroyPool({ name: POOL, environment: this.environment, force: 'yes' });
    rmSync(this.base, { recursive: true, force: true });
  }
}
