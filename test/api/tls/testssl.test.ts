/** An independent judge of our TLS: testssl.sh, which speaks it with its own code. */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { issueCertificate } from '../../../src/api/tls/private-ca.ts';
import { TlsWorld } from './tls-world.ts';

/** It tries hundreds of handshakes and waits for what old protocols would have answered. */
const PATIENCE_MS = 400_000;

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** Protocols, ciphers, forward secrecy, preferences, certificate, every known vulnerability. */
const CHECKS = ['-p', '-s', '-f', '-P', '-S', '-U'];

it(
  'testssl.sh finds nothing above LOW, and sees TLS 1.3 alone',
  async () => {
    await using world = await TlsWorld.create();
    for (const end of ['crt', 'key']) fs.rmSync(`${world.folder}/server.${end}`);
    await issueCertificate({
      ...{ directory: world.ca, out: world.folder, name: 'server', nowMs: Date.now() },
      // It asks for two months at least, and for a way to learn of revocations.
      ...{ days: 90, crlUrl: 'http://localhost/crl.pem', subject: { server: ['localhost'] } },
    });
    const { port } = await world.listen((_, response) => response.end());
    const report = `${world.folder}/report.json`;
    const options = ['--quiet', '--color', '0', '--warnings', 'off', '--jsonfile', report];
    const openssl = ['--openssl', '/usr/bin/openssl', '--add-ca', `${world.ca}/ca.crt`];
    const target = `https://localhost:${port}`;
    const run = promisify(execFile)('testssl', [...options, ...openssl, ...CHECKS, target], {
      env: { ...process.env, TERM: 'dumb' },
    });
    run.child.stdin?.end();
    // Its status counts what it would rather see; the report says what it found.
    await run.catch((error: NodeJS.ErrnoException) => {
      if (typeof error.code !== 'number') throw error;
    });
    const findings = JSON.parse(fs.readFileSync(report, 'utf8')) as Finding[];
    const harmless = new Set(['OK', 'INFO', 'LOW', 'DEBUG', 'WARN']);
    expect(findings.filter(({ severity }) => !harmless.has(severity))).toEqual([]);
    const said = (id: string): string | undefined =>
      findings.find((finding) => finding.id === id)?.finding;
    expect(said('TLS1_3')).toContain('offered');
    for (const id of ['SSLv2', 'SSLv3', 'TLS1', 'TLS1_1', 'TLS1_2']) {
      expect(said(id), id).toMatch(/^not offered/);
    }
    expect(said('heartbleed')).toContain('not vulnerable');
    expect(said('cert_chain_of_trust')).toContain('passed');
  },
  PATIENCE_MS,
);
