/**
 * A private certificate authority in a directory: for one host, a demo, a small team. Where SPIRE or
 * cert-manager issue certificates, none of this is used.
 *
 *   ca.crt       the authority's certificate          crl.pem      what was revoked
 *   ca.key       its key, for the owner only          issued.json  what was issued
 *
 * A key is never overwritten and never leaves with more than its owner's permissions. What is issued is
 * on record before it is handed out, and what is revoked is on record before the list is signed, so that a
 * crash leaves nothing in use that cannot be revoked. The X.509 library is loaded here and by nobody
 * else; no other command pays for it.
 */
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { X509CrlEntryParams } from '@peculiar/x509';
import { GhostsnapError } from '../../core/errors.ts';
import { type Issued, readIssued, writeIssued } from './issued-certificates.ts';
import { makePrivateDirectory, writeNew, writeOver } from './private-files.ts';

const DAY_MS = 86_400_000;
/** A certificate is good from a little earlier on: clocks differ. */
const BACKDATED_MS = 300_000;

const CRL_DAYS = 90;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

export interface IssueRequest {
  readonly directory: string;
  /** Where `<name>.crt` and `<name>.key` go. */
  readonly out: string;
  readonly name: string;
  /** `server`: DNS names and addresses; `client`: one SPIFFE id. */
  readonly subject: { readonly server: readonly string[] } | { readonly client: string };
  readonly days: number;
  /** Where others find the revocation list; our own listener reads the file. */
  readonly crlUrl?: string;
  readonly nowMs: number;
}

export interface IssuedFiles {
  readonly certificate: string;
  readonly key: string;
  readonly serial: string;
  readonly notAfter: string;
}

type X509 = typeof import('@peculiar/x509');
type CryptoKeyPair = webcrypto.CryptoKeyPair;

/**
 * Makes an authority where none is yet.
 * @throws GhostsnapError TARGET_EXISTS: what is there stays as it is
 */
export async function initCa(request: {
  readonly directory: string;
  readonly name: string;
  readonly days: number;
  readonly nowMs: number;
}): Promise<{ readonly certificate: string }> {
  const { directory, name, days, nowMs } = request;
  const x509 = await loadX509();
  makePrivateDirectory(directory);
  const keys = await newKeys();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: [name] }],
    ...validity(nowMs, days),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  // The key comes first and only where there is none: two at once make one authority.
  writeNew(path.join(directory, 'ca.key'), await pemOf(keys), 0o600);
  writeNew(path.join(directory, 'ca.crt'), `${authority.toString('pem')}\n`, 0o644);
  writeIssued(directory, []);
  await signCrl({ directory, nowMs });
  return { certificate: path.join(directory, 'ca.crt') };
}

/** @throws GhostsnapError TARGET_EXISTS, BAD_CONFIG (no authority there), BAD_ARGUMENT */
export async function issueCertificate(request: IssueRequest): Promise<IssuedFiles> {
  const { directory, out, name, subject, days, crlUrl, nowMs } = request;
  const files = { certificate: path.join(out, `${name}.crt`), key: path.join(out, `${name}.key`) };
  for (const file of Object.values(files)) if (fs.existsSync(file)) throw occupied(file);
  const x509 = await loadX509();
  const { certificate: authority, key } = await openCa(x509, directory);
  const keys = await newKeys();
  const serial = newSerial();
  const dates = validity(nowMs, days);
  if (dates.notAfter > authority.notAfter) {
    throw new GhostsnapError('BAD_ARGUMENT', `The authority ends on ${day(authority.notAfter)}.`, {
      hint: 'Ask for fewer days.',
    });
  }
  const usage = 'client' in subject ? CLIENT_AUTH : SERVER_AUTH;
  const issued = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: [{ CN: [name] }],
    issuer: authority.subjectName,
    ...dates,
    publicKey: keys.publicKey,
    signingKey: key,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(subject)),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(crlUrl === undefined ? [] : [new x509.CRLDistributionPointsExtension([crlUrl])]),
    ],
  });
  const notAfter = dates.notAfter.toISOString();
  const record: Issued = { serial, name, subject: subjectText(subject), notAfter, revokedAt: null };
  writeIssued(directory, [...readIssued(directory), record]);
  makePrivateDirectory(out);
  writeNew(files.key, await pemOf(keys), 0o600);
  writeNew(files.certificate, `${issued.toString('pem')}\n`, 0o644);
  return { ...files, serial, notAfter };
}

/**
 * Revokes by serial number or by the certificate's file, and signs a new list. Again: changes nothing.
 * @throws GhostsnapError BAD_ARGUMENT when the authority did not issue it
 */
export async function revokeCertificate(request: {
  readonly directory: string;
  readonly which: string;
  readonly nowMs: number;
}): Promise<{ readonly serial: string; readonly crl: string }> {
  const { directory, which, nowMs } = request;
  const serial = serialOf(which);
  const all = readIssued(directory);
  const found = all.find((entry) => entry.serial === serial);
  if (found === undefined) {
    throw new GhostsnapError('BAD_ARGUMENT', `This authority did not issue ${which}`, {
      hint: `${path.join(directory, 'issued.json')} names what it did.`,
    });
  }
  const revokedAt = found.revokedAt ?? new Date(nowMs).toISOString();
  writeIssued(
    directory,
    all.map((entry) => (entry === found ? { ...entry, revokedAt } : entry)),
  );
  return { serial, ...(await signCrl({ directory, nowMs })) };
}

/** A list from what is on record, good for `CRL_DAYS`; the service refuses everybody when it is over. */
export async function signCrl(request: {
  readonly directory: string;
  readonly nowMs: number;
}): Promise<{ readonly crl: string }> {
  const { directory, nowMs } = request;
  const x509 = await loadX509();
  const { certificate, key } = await openCa(x509, directory);
  const list = await x509.X509CrlGenerator.create({
    issuer: certificate.subjectName,
    thisUpdate: new Date(nowMs - BACKDATED_MS),
    nextUpdate: new Date(nowMs + CRL_DAYS * DAY_MS),
    signingKey: key,
    signingAlgorithm: ALGORITHM,
    entries: readIssued(directory).flatMap(({ serial, revokedAt }) =>
      revokedAt === null ? [] : [revokedEntry(x509, serial, revokedAt)],
    ),
    extensions: [await x509.AuthorityKeyIdentifierExtension.create(certificate.publicKey)],
  });
  const crl = path.join(directory, 'crl.pem');
  // The library's own name for it, "CRL", is none that OpenSSL knows.
  writeOver(crl, `${x509.PemConverter.encode(list.rawData, 'X509 CRL')}\n`, 0o644);
  return { crl };
}

/** With a reason, always: without one the library writes an empty list, which OpenSSL refuses. */
function revokedEntry(x509: X509, serialNumber: string, revokedAt: string): X509CrlEntryParams {
  const reason = x509.X509CrlReason.privilegeWithdrawn;
  return { serialNumber, revocationDate: new Date(revokedAt), reason };
}

async function loadX509(): Promise<X509> {
  // The library finds its own parts by the metadata that this puts on Reflect: it must come first.
  await import('reflect-metadata');
  return await import('@peculiar/x509');
}

async function openCa(
  x509: X509,
  directory: string,
): Promise<{
  readonly certificate: InstanceType<X509['X509Certificate']>;
  readonly key: webcrypto.CryptoKey;
}> {
  try {
    const read = (name: string): string => fs.readFileSync(path.join(directory, name), 'utf8');
    const certificate = new x509.X509Certificate(read('ca.crt'));
    const der = createPrivateKey(read('ca.key')).export({ format: 'der', type: 'pkcs8' });
    const key = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
    return { certificate, key };
  } catch (error) {
    throw new GhostsnapError('BAD_CONFIG', `No certificate authority can be used in ${directory}`, {
      hint: 'Make one with "ghostsnap cert init".',
      data: { directory },
      cause: error,
    });
  }
}

async function newKeys(): Promise<CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function pemOf({ privateKey }: CryptoKeyPair): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}

/** 126 bits of randomness behind a first byte that keeps the number positive and its length. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function validity(nowMs: number, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/;

function alternativeNames(
  subject: IssueRequest['subject'],
): { readonly type: 'url' | 'ip' | 'dns'; readonly value: string }[] {
  if ('client' in subject) return [{ type: 'url', value: subject.client }];
  return subject.server.map((value) => ({ type: ADDRESS.test(value) ? 'ip' : 'dns', value }));
}

function subjectText(subject: IssueRequest['subject']): string {
  return 'client' in subject ? subject.client : subject.server.join(', ');
}

function serialOf(which: string): string {
  if (/^[0-9a-f]{32}$/i.test(which)) return which.toLowerCase();
  try {
    return new X509Certificate(fs.readFileSync(which)).serialNumber.toLowerCase();
  } catch (error) {
    throw new GhostsnapError('BAD_ARGUMENT', `No certificate and no serial number: ${which}`, {
      hint: 'Name the file of the certificate, or its serial number.',
      cause: error,
    });
  }
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function occupied(file: string): GhostsnapError {
  return new GhostsnapError('TARGET_EXISTS', `There is something at ${file}`, {
    hint: 'Move it aside, or choose another name: a key is never overwritten.',
    data: { file },
  });
}
