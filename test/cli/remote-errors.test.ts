/** What goes wrong between a command and a service: each is a code, a status, and says what to do. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { loadClientOptions } from '../../src/cli/remote/client-config.ts';
import { REMOTE_VERBS } from '../../src/cli/remote/remote-verbs.ts';
import { type As, RemoteWorld } from './remote-world.ts';
import { runMain } from './run-cli.ts';

let world: RemoteWorld;

beforeAll(async () => {
  world = await RemoteWorld.make();
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

interface Failure {
  readonly status: number | null;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

async function failure(args: readonly string[], as: As = 'operator'): Promise<Failure> {
  const { status, stdout, stderr } = await world.remote([...args, '--json'], as);
  expect(stdout).toBe('');
  return { status, ...JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '').error };
}

const project = (...args: readonly string[]): readonly string[] => [
  ...['--server', world.url, '-w', 'project', ...args],
];

describe('a service', () => {
  it('that is not there, or that does not know the certificate, is unreachable, with the reason', async () => {
    const nowhere = await failure(['--server', 'https://localhost:1', '-w', 'project', 'log']);
    expect(nowhere).toMatchObject({ status: 75, code: 'UNREACHABLE' });
    expect(nowhere.message).toContain('ECONNREFUSED');
    const stranger = await failure(project('log'), 'stranger');
    expect(stranger).toMatchObject({ status: 75, code: 'UNREACHABLE' });
    expect(stranger.hint).toContain('certificate');
    // The certificate is of the authority; the service's is not one that this client trusts.
    const config = JSON.parse(readFileSync(join(world.base, 'operator.json'), 'utf8'));
    const tls = { ...config.tls, caFile: 'other/ca.crt' };
    writeFileSync(join(world.base, 'stranger.json'), JSON.stringify({ ...config, tls }));
    const distrusted = await failure(project('log'), 'stranger');
    expect(distrusted).toMatchObject({ status: 75, code: 'UNREACHABLE' });
    expect(distrusted.message).toMatch(/certificate/);
  });

  it('is asked at the next address when the first does not answer', async () => {
    const server = `https://localhost:1,${world.url}`;
    const { status } = await world.remote(['--server', server, '-w', 'project', 'status']);
    expect(status).toBe(0);
  });

  it('refuses what a role may not do, and nothing is done', async () => {
    await world.there('snap', '-l', 'base');
    writeFileSync(join(world.path, 'file'), 'kept');
    expect(await failure(project('rollback', 'base'), 'reader')).toMatchObject({
      ...{ status: 77, code: 'NOT_PERMITTED' },
    });
    expect(readFileSync(join(world.path, 'file'), 'utf8')).toBe('kept');
    expect(await failure(project('pin', 'base'), 'agent')).toMatchObject({ status: 77 });
    const plan = ['rollback', 'base', '--dry-run', '--json'];
    expect((await world.remote(project(...plan), 'reader')).status).toBe(0);
  });

  it('wants a workspace named, one that it has', async () => {
    const none = await failure(['--server', world.url, 'log']);
    expect(none).toMatchObject({ status: 64, code: 'BAD_ARGUMENT' });
    expect(none.hint).toContain('project');
    const unknown = await failure(['--server', world.url, '-w', 'nobody', 'log']);
    expect(unknown).toMatchObject({ status: 66, code: 'WORKSPACE_NOT_FOUND' });
    expect(unknown.hint).toContain('project');
    const id = 'ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3';
    expect(await failure(['--server', world.url, '-w', id, 'log'])).toMatchObject({
      ...{ status: 66, code: 'WORKSPACE_NOT_FOUND' },
    });
    mkdirSync(join(world.base, 'work', 'second'));
    await world.client('operator').adoptWorkspace({ path: join(world.base, 'work', 'second') });
    const several = await failure(['--server', world.url, '-w', 'ws_0', 'log']);
    expect(several).toMatchObject({ status: 64, code: 'AMBIGUOUS_ID' });
    expect(several.hint).toContain(world.workspace);
  });
});

describe('a verb that no service carries out', () => {
  it('is in the table with all others', () => {
    expect(Object.keys(REMOTE_VERBS).sort()).toEqual(COMMANDS.map(({ name }) => name).sort());
  });

  it.each([
    ['before the verb', (url: string) => ['--server', url, 'blame', 'file']],
    ['after the verb', (url: string) => ['blame', 'file', '--server', url]],
    ['before a subcommand', (url: string) => ['--server', url, 'pool', 'list']],
  ])('says what to do instead, with the address %s', async (_, args) => {
    const { status, stderr } = await runMain([...args('https://localhost:1'), '--json']);
    expect(status).toBe(64);
    const { code, hint } = JSON.parse(stderr).error;
    expect(code).toBe('BAD_ARGUMENT');
    expect(hint).toMatch(/host of the service/);
  });

  it('says so of the environment where a person might be mistaken, and else ignores it', async () => {
    const env = { GHOSTSNAP_SERVER: 'https://localhost:1' };
    const refused = await runMain(['destroy', '--yes'], { env });
    expect(refused.status).toBe(64);
    expect(refused.stderr).toContain('unset GHOSTSNAP_SERVER');
    expect((await runMain(['completion', 'bash'], { env })).status).toBe(0);
    expect((await runMain(['snap', '--help'], { env })).status).toBe(0);
    const issue = ['cert', 'issue', 'a', '--server', 'localhost', '--ca', '/not/there'];
    expect((await runMain(issue, { env })).stderr).not.toContain('carried out');
  });

  it('is an option as well: files are not written here', async () => {
    const to = await failure(project('restore', '@', 'src', '--to', '/tmp/out'));
    expect(to).toMatchObject({ status: 64, code: 'BAD_ARGUMENT' });
  });
});

describe('the client file', () => {
  const load = (server = 'config', env: Record<string, string> = {}) => {
    const environment = { cwd: world.base, homeDir: world.base, uid: 0 };
    return loadClientOptions(
      { ...environment, env: { GHOSTSNAP_HOME: world.base, ...env } },
      server,
    );
  };
  const file = (): string => join(world.base, 'client.json');
  const written = (change: (config: Record<string, unknown>) => unknown): void => {
    const config = JSON.parse(readFileSync(join(world.base, 'agent.json'), 'utf8'));
    writeFileSync(file(), JSON.stringify(change(config)), { mode: 0o600 });
  };
  const fails = (code: string, message: RegExp, load: () => unknown): void => {
    expect(load).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  };

  it('gives addresses and credentials, with paths beside it; the environment takes their place', () => {
    written((config) => config);
    const given = load();
    expect(given.endpoints).toEqual([world.url]);
    expect(given.tls.cert).toContain('BEGIN CERTIFICATE');
    expect(load('https://a.example:7443, https://b.example').endpoints).toEqual([
      ...['https://a.example:7443', 'https://b.example'],
    ]);
    rmSync(file());
    const ca = (name: string): string => join(world.base, 'ca', name);
    const env = { GHOSTSNAP_TLS_CERT: ca('reader.crt'), GHOSTSNAP_TLS_KEY: ca('reader.key') };
    const whole = { ...env, GHOSTSNAP_TLS_CA: ca('ca.crt') };
    expect(load(world.url, whole).tls.cert).toBe(readFileSync(ca('reader.crt'), 'utf8'));
    fails('BAD_CONFIG', /there is none/, () => load(world.url, env));
  });

  it('is refused when anything about it is wrong, each with what it is', () => {
    rmSync(file(), { force: true });
    fails('BAD_CONFIG', /names no endpoints/, () => load());
    written((config) => ({ ...config, password: 'x' }));
    fails('BAD_CONFIG', /password/, () => load());
    written(({ tls }) => ({ tls, endpoints: [] }));
    fails('BAD_CONFIG', /endpoints/, () => load());
    writeFileSync(file(), '{"endpoints": [], "endpoints": []}');
    fails('BAD_CONFIG', /endpoints.*twice|equal|key/i, () => load());
    written((config) => config);
    chmodSync(file(), 0o666);
    fails('BAD_CONFIG', /others may write it/, () => load());
    written((config) => config);
    chmodSync(file(), 0o600);
    for (const server of ['http://a.example', 'a.example:7443', 'https://a.example/v1', '']) {
      fails('BAD_ARGUMENT', /no address/, () => load(server));
    }
  });

  it('names a key that nobody else may read, and a certificate that is good', () => {
    const key = join(world.base, 'loose.key');
    copyFileSync(join(world.base, 'ca', 'agent.key'), key);
    chmodSync(key, 0o644);
    written(({ tls, ...rest }) => ({ ...rest, tls: { ...(tls as object), keyFile: 'loose.key' } }));
    fails('BAD_CONFIG', /loose\.key: others may use it/, () => load());
    chmodSync(key, 0o600);
    load();
    written(({ tls, ...rest }) => ({
      ...{ ...rest, tls: { ...(tls as object), keyFile: 'ca/reader.key' } },
    }));
    fails('BAD_CONFIG', /is not its key/, () => load());
  });
});
