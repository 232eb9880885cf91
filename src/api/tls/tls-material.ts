/**
 * What a listener needs to know about certificates, read from files and checked before it is used.
 *
 * TLS 1.3 and nothing older, a client certificate always, revocation whenever there is a list. Sessions
 * are not resumed: a resumed one would skip the check of a certificate that was revoked meanwhile. What
 * is wrong with the files is told whole, and what was in force before stays in force.
 */
import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
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
  /** One a list: of a text with several OpenSSL is handed the first by Node, and nothing of the others. */
  readonly crl: readonly string[] | undefined;
  readonly notAfterMs: number;
}

const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
].join(':');

const REVOCATION_LIST = /-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g;

/** @throws GhostsnapError BAD_CONFIG naming everything that is wrong with the files */
export function readTlsMaterial(files: TlsFiles, nowMs: number): TlsMaterial {
  const problems: string[] = [];
  const cert = readText(files.certificate, problems);
  const key = readText(files.key, problems);
  const ca = readText(files.ca, problems);
  const crlText = files.crl === undefined ? undefined : readText(files.crl, problems);
  const crl = crlText?.match(REVOCATION_LIST) ?? undefined;
  const privateKey = key === null ? null : checkKey(files, key, problems);
  if (ca !== null) problems.push(...problemsOfAuthority(files, ca));
  if (typeof crlText === 'string' && crl === undefined) {
    problems.push(`${files.crl}: it holds no revocation list in PEM`);
  }
  const leaf = cert === null ? null : readCertificate(files, cert, problems);
  if (leaf !== null) problems.push(...problemsOfCertificate(files, { leaf, privateKey, nowMs }));
  const isWhole = cert !== null && key !== null && ca !== null && crlText !== null && leaf !== null;
  if (isWhole && problems.length === 0) {
    return { cert, key, ca, crl, notAfterMs: Date.parse(leaf.validTo) };
  }
  throw new GhostsnapError('BAD_CONFIG', `TLS cannot be used: ${problems.join('; ')}.`, {
    hint: 'Correct the files; what was in force before stays in force.',
    data: { problems },
  });
}

/** For `http2.createSecureServer` and for `setSecureContext`. */
export function secureContextOptions(material: TlsMaterial): SecureContextOptions {
  const { cert, key, ca, crl } = material;
  return {
    ...{ cert, key, ca, ...(crl === undefined ? {} : { crl: [...crl] }) },
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

/** null: it cannot be read, and that was said. */
function readText(file: string, problems: string[]): string | null {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    problems.push(error instanceof Error ? error.message : `${file}: ${String(error)}`);
    return null;
  }
}

/** null: it is none, and that was said. */
function checkKey(files: TlsFiles, key: string, problems: string[]): KeyObject | null {
  const { mode } = fs.statSync(files.key);
  // A group may read it, as is usual for keys that an agent of SPIRE or a secret's mount lays down.
  if ((mode & 0o037) !== 0) problems.push(`${files.key}: others may use it, chmod 600 it`);
  try {
    return createPrivateKey(key);
  } catch {
    problems.push(`${files.key}: it is no private key without a passphrase`);
    return null;
  }
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

/** null: it is none, and that was said. */
function readCertificate(
  files: TlsFiles,
  cert: string,
  problems: string[],
): X509Certificate | null {
  try {
    return new X509Certificate(cert);
  } catch {
    problems.push(`${files.certificate}: it is no certificate in PEM`);
    return null;
  }
}

function problemsOfCertificate(
  files: TlsFiles,
  on: {
    readonly leaf: X509Certificate;
    readonly privateKey: KeyObject | null;
    readonly nowMs: number;
  },
): readonly string[] {
  const { leaf, privateKey, nowMs } = on;
  const problems: string[] = [];
  if (privateKey !== null && !leaf.checkPrivateKey(privateKey)) {
    problems.push(`${files.certificate}: ${files.key} is not its key`);
  }
  if (Date.parse(leaf.validTo) <= nowMs) {
    problems.push(`${files.certificate}: it ended on ${leaf.validTo}`);
  }
  if (Date.parse(leaf.validFrom) > nowMs) {
    problems.push(`${files.certificate}: it begins on ${leaf.validFrom}`);
  }
  return problems;
}
