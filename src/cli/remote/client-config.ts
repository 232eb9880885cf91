/**
 * Which service is asked and as whom: `--server`, the environment, and `<config>/client.json`.
 *
 * The file is strict JSON with no unknown field; everything that is wrong with it is listed at once. What the
 * environment names (`GHOSTSNAP_TLS_CERT`, `_KEY`, `_CA`) takes the place of what the file names, and with
 * all three there need be no file. Certificates are checked here as far as they can be: a key that others may
 * read, or a certificate that has ended, is said before a connection is tried.
 */
import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { ClientCredentials, ClientOptions } from '../../api/client/client.ts';
import { readStrictJson } from '../../api/door/strict-json.ts';
import { readTlsMaterial } from '../../api/tls/tls-material.ts';
import { GhostsnapError } from '../../core/errors.ts';
import { resolveHome } from '../../daemon/home.ts';
import type { Environment } from '../composition.ts';

/** What takes the place of an address: the endpoints of the file. */
export const CONFIGURED = 'config';

const FILE = { bytesMax: 65_536, depthMax: 8, values: 'exact' } as const;

const ENDPOINTS_MAX = 16;

const fileName = z.string().min(1).max(4096);

const clientFileSchema = z.strictObject({
  endpoints: z.array(z.string()).min(1).max(ENDPOINTS_MAX).optional(),
  /** Relative to the file's own directory. */
  tls: z.strictObject({ certFile: fileName, keyFile: fileName, caFile: fileName }).optional(),
});

type ClientFile = z.output<typeof clientFileSchema>;
type TlsFiles = NonNullable<ClientFile['tls']>;

/** @throws GhostsnapError BAD_ARGUMENT (an address), BAD_CONFIG naming everything that is wrong */
export function loadClientOptions(environment: Environment, server: string): ClientOptions {
  const file = clientFileOf(environment);
  const config = readClientFile(file);
  const endpoints = endpointsOf(server, config, file);
  const tls = readCredentials(tlsFilesOf(environment, config, file));
  return { endpoints, tls };
}

function clientFileOf(environment: Environment): string {
  const named = environment.env.GHOSTSNAP_CLIENT_CONFIG;
  if (named) return path.resolve(environment.cwd, named);
  return path.join(resolveHome(environment).config, 'client.json');
}

/** null: there is none. */
function readClientFile(file: string): ClientFile | null {
  let bytes: Buffer;
  try {
    const { mode } = fs.statSync(file);
    // Whoever writes it decides whom this user trusts.
    if ((mode & 0o022) !== 0) throw wrong(file, ['others may write it, chmod go-w it']);
    bytes = fs.readFileSync(file);
  } catch (error) {
    if (error instanceof GhostsnapError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw wrong(file, [error instanceof Error ? error.message : String(error)]);
  }
  const reading = readStrictJson(bytes, FILE);
  if (!reading.ok) throw wrong(file, [reading.why]);
  const parsed = clientFileSchema.safeParse(reading.value);
  if (parsed.success) return parsed.data;
  throw wrong(
    file,
    parsed.error.issues.map(({ path: at, message }) => `/${at.join('/')}: ${message}`),
  );
}

function endpointsOf(server: string, config: ClientFile | null, file: string): readonly string[] {
  if (server !== CONFIGURED) return server.split(',').map((text) => endpointOf(text.trim()));
  const named = config?.endpoints;
  if (named !== undefined) return named.map(endpointOf);
  throw wrong(file, [`it names no endpoints, and "${CONFIGURED}" asks for them`]);
}

/** `https://host:port`. @throws GhostsnapError BAD_ARGUMENT */
function endpointOf(text: string): string {
  const url = URL.parse(text);
  const isOrigin =
    url !== null && url.pathname === '/' && `${url.search}${url.hash}${url.username}` === '';
  if (isOrigin && url.protocol === 'https:') return url.origin;
  throw new GhostsnapError('BAD_ARGUMENT', `This is no address of a service: ${text}`, {
    hint: `Write https://HOST:PORT, several with commas between, or "${CONFIGURED}".`,
    data: { server: text },
  });
}

function tlsFilesOf({ env, cwd }: Environment, config: ClientFile | null, file: string): TlsFiles {
  const beside = (name: string | undefined): string | undefined =>
    name === undefined ? undefined : path.resolve(path.dirname(file), name);
  const here = (name: string | undefined): string | undefined =>
    name ? path.resolve(cwd, name) : undefined;
  const certFile = here(env.GHOSTSNAP_TLS_CERT) ?? beside(config?.tls?.certFile);
  const keyFile = here(env.GHOSTSNAP_TLS_KEY) ?? beside(config?.tls?.keyFile);
  const caFile = here(env.GHOSTSNAP_TLS_CA) ?? beside(config?.tls?.caFile);
  if (certFile !== undefined && keyFile !== undefined && caFile !== undefined) {
    return { certFile, keyFile, caFile };
  }
  const what = config === null ? 'there is none' : '/tls: it names no certificate';
  throw wrong(file, [what]);
}

function readCredentials({ certFile, keyFile, caFile }: TlsFiles): ClientCredentials {
  try {
    const files = { certificate: certFile, key: keyFile, ca: caFile };
    const { cert, key, ca } = readTlsMaterial(files, Date.now());
    return { cert, key, ca };
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    // Its hint is for a listener that has something to fall back on.
    throw new GhostsnapError(error.code, error.message, {
      hint: 'Correct the files; "ghostsnap cert issue NAME --client ID" makes new ones.',
      data: error.data,
      cause: error,
    });
  }
}

function wrong(file: string, problems: readonly string[]): GhostsnapError {
  return new GhostsnapError(
    'BAD_CONFIG',
    `The client's file cannot be used: ${problems.join('; ')}: ${file}`,
    {
      hint: 'Write {"tls": {"certFile", "keyFile", "caFile"}} there; docs/remote.md describes it.',
      data: { file, problems },
    },
  );
}
