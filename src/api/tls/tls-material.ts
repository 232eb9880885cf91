/**
 * What a listener needs to know about certificates, read from files and checked before it is used.
 *
 * TLS 1.3 and nothing older, a client certificate always, revocation whenever there is a list. Sessions
 * are not resumed: a resumed one would skip the check of a certificate that was revoked meanwhile. What
 * is wrong with the files is told whole, and what was in force before stays in force.
 */
import { constants, createPrivateKey, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { GhostsnapError } from '../../core/errors.ts';

export interface TlsFiles {
  /** The listener's certificate, with what lies between it and the authority. */
  readonly certificate: string;
  readonly key: string;
  /** The authorities whose clients are let in. */
  readonly ca: string;
  /** Certificate revocation lists, one for each authority; without the file nothing is revoked. */
  readonly crl?: string | undefined;
}

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly crl: string | undefined;
  readonly notAfterMs: number;
}

const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
].join(':');

/** @throws GhostsnapError BAD_CONFIG naming everything that is wrong with the files */
export function readTlsMaterial(files: TlsFiles, nowMs: number): TlsMaterial {
  const problems: string[] = [];
  const cert = readText(files.certificate, problems);
  const key = readText(files.key, problems);
  const ca = readText(files.ca, problems);
  const crl = files.crl === undefined ? undefined : readText(files.crl, problems);
  if (problems.length === 0) {
    problems.push(...problemsOfKey(files, key), ...problemsOfAuthority(files, ca));
    if (crl !== undefined && !crl.includes('-----BEGIN X509 CRL-----')) {
      problems.push(`${files.crl}: it holds no revocation list in PEM`);
    }
  }
  const notAfterMs = checkCertificate(files, { cert, key, nowMs }, problems);
  if (problems.length > 0) {
    throw new GhostsnapError('BAD_CONFIG', `TLS cannot be used: ${problems.join('; ')}.`, {
      hint: 'Correct the files; what was in force before stays in force.',
      data: { problems },
    });
  }
  return { cert, key, ca, crl, notAfterMs };
}

/** For `http2.createSecureServer` and for `setSecureContext`. */
export function secureContextOptions(material: TlsMaterial): SecureContextOptions {
  const { cert, key, ca, crl } = material;
  return {
    ...{ cert, key, ca, ...(crl === undefined ? {} : { crl }) },
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    ecdhCurve: 'X25519:P-256:P-384',
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
}

export function listenerOptions(material: TlsMaterial): TlsOptions {
  return { ...secureContextOptions(material), requestCert: true, rejectUnauthorized: true };
}

function readText(file: string, problems: string[]): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    problems.push(error instanceof Error ? error.message : `${file}: ${String(error)}`);
    return '';
  }
}

function problemsOfKey(files: TlsFiles, key: string): readonly string[] {
  const { mode } = fs.statSync(files.key);
  const problems = [];
  // A group may read it, as is usual for keys that an agent of SPIRE or a secret's mount lays down.
  if ((mode & 0o037) !== 0) problems.push(`${files.key}: others may use it, chmod 600 it`);
  try {
    createPrivateKey(key);
  } catch {
    problems.push(`${files.key}: it is no private key without a passphrase`);
  }
  return problems;
}

function problemsOfAuthority(files: TlsFiles, ca: string): readonly string[] {
  const parts = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (parts.length > 0 && parts.every((part) => new X509Certificate(part).ca)) return [];
  } catch {
    // Said below: it is none.
  }
  return [`${files.ca}: it holds no certificate of an authority`];
}

function checkCertificate(
  files: TlsFiles,
  { cert, key, nowMs }: { readonly cert: string; readonly key: string; readonly nowMs: number },
  problems: string[],
): number {
  if (problems.length > 0) return 0;
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch {
    problems.push(`${files.certificate}: it is no certificate in PEM`);
    return 0;
  }
  const notAfterMs = Date.parse(leaf.validTo);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) {
    problems.push(`${files.certificate}: ${files.key} is not its key`);
  }
  if (notAfterMs <= nowMs) problems.push(`${files.certificate}: it ended on ${leaf.validTo}`);
  if (Date.parse(leaf.validFrom) > nowMs) {
    problems.push(`${files.certificate}: it begins on ${leaf.validFrom}`);
  }
  return notAfterMs;
}
