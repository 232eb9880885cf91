/**
 * The service's network listener: HTTP/2 over TLS 1.3, who is at the other end, and the audit log.
 *
 * Everything it needs is in files that are read at the start and again when the service is told to: then
 * certificates, revocation list and policy change together, or none of them does. A connection's
 * principal is looked up by its certificate and the policy in force, for each request anew.
 */
import fs from 'node:fs';
import http2, { type Http2SecureServer } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { type AccessPolicy, parseAccessPolicy } from '../api/access/access-policy.ts';
import { type Peer, peerOf } from '../api/access/peer-principal.ts';
import { HTTP2_LIMITS } from '../api/door/http-limits.ts';
import { LiveConnections } from '../api/tls/live-connections.ts';
import { listenerOptions, readTlsMaterial, type TlsMaterial } from '../api/tls/tls-material.ts';
import { GhostsnapError } from '../core/errors.ts';

export interface TlsListenerFiles {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa: string;
  readonly crl?: string | undefined;
  readonly access: string;
}

interface InForce {
  readonly material: TlsMaterial;
  readonly policy: AccessPolicy;
}

/** Milliseconds before its end at which a certificate is spoken of. */
const ENDS_SOON_MS = 14 * 86_400_000;

export class TlsListener {
  #inForce: InForce;
  #connections: LiveConnections | null = null;

  /** @throws GhostsnapError BAD_CONFIG naming everything that is wrong with the files */
  constructor(files: TlsListenerFiles) {
    this.#inForce = read(files);
  }

  makeServer(
    listener: (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void,
  ): Http2SecureServer {
    const options = { ...HTTP2_LIMITS, ...listenerOptions(this.#inForce.material) };
    const server = http2.createSecureServer(options, listener);
    // Node would answer expectations by itself; the door refuses them, as it does everything in a head.
    server.on('checkContinue', listener).on('checkExpectation', listener);
    // A peer that breaks off is its own trouble: without listeners it would be the process's.
    server.on('sessionError', () => undefined).on('tlsClientError', () => undefined);
    this.#connections = new LiveConnections(server, {
      now: Date.now,
      random: Math.random,
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        timer.unref();
        return () => clearTimeout(timer);
      },
      peerKey: (socket) => this.#peer(socket).id?.text ?? '',
    });
    return server;
  }

  peerOf(request: { readonly socket: unknown }): Peer {
    return this.#peer(request.socket as TLSSocket);
  }

  /** @throws GhostsnapError BAD_CONFIG: then what was in force stays in force */
  reload(files: TlsListenerFiles): void {
    const next = read(files);
    this.#connections?.exchange(next.material);
    this.#inForce = next;
  }

  /** Asks every connection to go; what is under way ends. */
  drain(): void {
    this.#connections?.drain();
  }

  /** What an operator should know before it is too late; null: nothing. */
  warning(nowMs: number): string | null {
    const { notAfterMs } = this.#inForce.material;
    if (notAfterMs - nowMs > ENDS_SOON_MS) return null;
    return `The listener's certificate ends on ${new Date(notAfterMs).toISOString()}.`;
  }

  #peer(socket: TLSSocket): Peer {
    return peerOf(socket, this.#inForce.policy);
  }
}

/** Everything that is wrong with the files, each in a line; empty: a listener can use them. */
export function problemsOfListener(files: TlsListenerFiles): readonly string[] {
  const { material, policy } = readEach(files);
  return [material, policy].flatMap((one) => ('problems' in one ? one.problems : []));
}

function read(files: TlsListenerFiles): InForce {
  const { material, policy } = readEach(files);
  if ('value' in material && 'value' in policy) {
    return { material: material.value, policy: policy.value };
  }
  const problems = [material, policy].flatMap((one) => ('problems' in one ? one.problems : []));
  throw new GhostsnapError('BAD_CONFIG', `The listener cannot be used: ${problems.join('; ')}.`, {
    hint: 'Correct the files; what was in force before stays in force.',
    data: { problems },
  });
}

type Reading<T> = { readonly value: T } | { readonly problems: readonly string[] };

/** One that is wrong hides nothing of the other: whoever rotates both corrects both. */
function readEach(files: TlsListenerFiles): {
  readonly material: Reading<TlsMaterial>;
  readonly policy: Reading<AccessPolicy>;
} {
  const { certificate, key, clientCa: ca, crl, access } = files;
  return {
    material: readingOf(() => readTlsMaterial({ certificate, key, ca, crl }, Date.now())),
    policy: readingOf(() => parseAccessPolicy(readPolicyFile(access), access)),
  };
}

/** What is no BAD_CONFIG is a defect. */
function readingOf<T>(readIt: () => T): Reading<T> {
  try {
    return { value: readIt() };
  } catch (error) {
    if (!(error instanceof GhostsnapError) || error.code !== 'BAD_CONFIG') throw error;
    return { problems: error.data.problems as readonly string[] };
  }
}

/** Who may write it decides who may do what: nobody but its owner may. */
function readPolicyFile(file: string): Buffer {
  let problem: string;
  try {
    const { mode } = fs.statSync(file);
    if ((mode & 0o022) === 0) return fs.readFileSync(file);
    problem = `${file}: others may write it, chmod go-w it`;
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  throw new GhostsnapError('BAD_CONFIG', `The access policy cannot be used: ${problem}.`, {
    hint: 'Correct it; the policy that was in force before stays in force.',
    data: { problems: [problem] },
  });
}
