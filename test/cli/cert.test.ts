import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CliResult, runCli, runMain } from './run-cli.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ghostsnap-cert-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

const cert = (...args: readonly string[]): Promise<CliResult> =>
  runMain(['cert', ...args], { cwd: folder });
const at = (name: string): string => path.join(folder, 'ca', name);
const mode = (name: string): number => fs.statSync(at(name)).mode & 0o777;

describe('ghostsnap cert', () => {
  it('makes an authority, issues for a service and a client, revokes; keys are the owner’s', async () => {
    expect((await cert('init', '--ca', 'ca')).stdout).toBe(`${at('ca.crt')}\n`);
    const server = ['--server', 'host.example', '--server', '10.0.0.7'];
    expect((await cert('issue', 'host', '--ca', 'ca', ...server)).status).toBe(0);
    const id = 'spiffe://a.example/gateway';
    const issued = await cert('issue', 'gateway', '--ca', 'ca', '--client', id, '--json');
    const { certificate, key, serial } = JSON.parse(issued.stdout) as Record<string, string>;
    expect([certificate, key]).toEqual([at('gateway.crt'), at('gateway.key')]);

    const authority = new X509Certificate(fs.readFileSync(at('ca.crt')));
    const client = new X509Certificate(fs.readFileSync(at('gateway.crt')));
    const host = new X509Certificate(fs.readFileSync(at('host.crt')));
    expect(client.subjectAltName).toBe(`URI:${id}`);
    expect(client.ca || host.ca).toBe(false);
    expect(client.verify(authority.publicKey) && host.verify(authority.publicKey)).toBe(true);
    expect(host.checkHost('host.example')).toBe('host.example');
    expect(host.checkIP('10.0.0.7')).toBe('10.0.0.7');
    for (const name of ['ca.key', 'host.key', 'gateway.key', 'issued.json']) {
      expect(mode(name), name).toBe(0o600);
    }
    const before = fs.readFileSync(at('crl.pem'), 'utf8');
    const revoked = await cert('revoke', 'ca/gateway.crt', '--ca', 'ca', '--json');
    expect(JSON.parse(revoked.stdout)).toEqual({ serial, crl: at('crl.pem') });
    expect(fs.readFileSync(at('crl.pem'), 'utf8')).not.toBe(before);
    expect((await cert('revoke', String(serial), '--ca', 'ca')).status).toBe(0);
    expect((await cert('crl', '--ca', 'ca')).stdout).toBe(`${at('crl.pem')}\n`);
  });

  it('has everything on record that several processes issue at once', async () => {
    await cert('init', '--ca', 'ca');
    const script = fileURLToPath(new URL('./issue-certificates.ts', import.meta.url));
    const issue = async (prefix: string): Promise<unknown> =>
      await promisify(execFile)(process.execPath, [script, folder, prefix, '20']);
    await Promise.all(['a', 'b', 'c'].map(issue));
    const { certificates } = JSON.parse(fs.readFileSync(at('issued.json'), 'utf8'));
    expect(certificates).toHaveLength(60);
  });

  it('overwrites no key and issues nothing half', async () => {
    await cert('init', '--ca', 'ca');
    const key = fs.readFileSync(at('ca.key'), 'utf8');
    expect((await cert('init', '--ca', 'ca')).stderr).toContain('TARGET_EXISTS');
    expect(fs.readFileSync(at('ca.key'), 'utf8')).toBe(key);
    fs.writeFileSync(at('x.crt'), 'mine');
    const x = ['issue', 'x', '--ca', 'ca', '--client', 'spiffe://a.example/x'];
    expect((await cert(...x)).stderr).toContain('TARGET_EXISTS');
    expect(fs.existsSync(at('x.key'))).toBe(false);
  });

  it.each([
    [['issue', 'x', '--ca', 'ca'], 'Neither a server nor a client'],
    [['issue', 'x', '--ca', 'ca', '--client', 'https://a'], 'no SPIFFE id'],
    [['issue', '../x', '--ca', 'ca', '--client', 'spiffe://a/x'], 'no name for two files'],
    [['issue', 'x', '--ca', 'ca', '--client', 'spiffe://a/x', '--days', '0'], 'number of days'],
    [['issue', 'x', '--ca', 'ca', '--client', 'spiffe://a/x', '--days', '7300'], 'authority ends'],
    [['issue', 'x', '--ca', 'none', '--client', 'spiffe://a/x'], 'No certificate authority'],
    [['revoke', 'ca/ca.crt', '--ca', 'ca'], 'did not issue'],
    [['revoke', 'nothing', '--ca', 'ca'], 'No certificate and no serial number'],
    [['init'], '--ca'],
  ])('%j says what is wrong', async (args, words) => {
    await cert('init', '--ca', 'ca');
    const { status, stderr } = await cert(...args);
    expect(status).not.toBe(0);
    expect(stderr).toContain(words);
  });

  it('is the only command that loads the X.509 library', async () => {
    const env = { NODE_DEBUG: 'esm' };
    const loaded = async (...args: readonly string[]): Promise<boolean> =>
      (await runCli(args, { cwd: folder, env })).stderr.includes('@peculiar/x509');
    expect(await loaded('cert', 'init', '--ca', 'ca')).toBe(true);
    expect(await loaded('cert', '--help')).toBe(false);
    expect(await loaded('status')).toBe(false);
  });
});
