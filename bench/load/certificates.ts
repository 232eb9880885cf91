/** A throw-away CA with a certificate for the service and one for its clients. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificates {
  readonly caFile: string;
  readonly server: { readonly keyFile: string; readonly certFile: string };
  readonly client: { readonly keyFile: string; readonly certFile: string };
}

const DAYS = '2';

export function makeCertificates(directory: string, clientUri: string): Certificates {
  const at = (name: string): string => join(directory, name);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'] as const;
  openssl(
    ...['req', '-x509', ...newKey, '-days', DAYS, '-subj', '/CN=load test CA'],
    ...['-keyout', at('ca.key'), '-out', at('ca.pem')],
  );
  const issue = (name: string, extensions: string): { keyFile: string; certFile: string } => {
    const [keyFile, certFile] = [at(`${name}.key`), at(`${name}.pem`)];
    writeFileSync(at(`${name}.ext`), extensions);
    const request = at(`${name}.csr`);
    openssl('req', ...newKey, '-subj', `/CN=${name}`, '-keyout', keyFile, '-out', request);
    openssl(
      ...['x509', '-req', '-in', request, '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
      ...['-CAcreateserial', '-days', DAYS, '-extfile', at(`${name}.ext`), '-out', certFile],
    );
    return { keyFile, certFile };
  };
  return {
    caFile: at('ca.pem'),
    server: issue(
      'server',
      'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n',
    ),
    client: issue('client', `subjectAltName=URI:${clientUri}\nextendedKeyUsage=clientAuth\n`),
  };
}
