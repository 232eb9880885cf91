/**
 * The TLS connections of a listener: how many, how old, and by which certificates they were let in.
 *
 * Certificates are exchanged under a running listener. Who connects from then on sees the new ones;
 * connections that were made before are asked to go (GOAWAY: what is under way ends, what is on its way
 * is refused as never begun, so that a client may send it again)
 * at a random time within `drainMs`, and are cut off after `graceMs`, so that a client that was revoked
 * and does not listen is gone too. The same happens to a connection that is old, and to one whose
 * certificate ends: nobody stays on what is not valid any more.
 */
import type { Http2SecureServer, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { IDLE_TIMEOUT_MS } from '../door/http-limits.ts';
import { secureContextOptions, type TlsMaterial } from './tls-material.ts';

/** Connections at once: 50,000 sessions come over a few hundred; 4,096 of them are 300 MB. */
export const CONNECTIONS_MAX = 4096;

/** Of one identity: a gateway has a handful, and no identity may take the place of all others. */
export const CONNECTIONS_PER_PEER_MAX = 512;

/** Milliseconds after which a connection is made anew, and its certificate looked at again. */
export const CONNECTION_AGE_MS_MAX = 3_600_000;

/** After an exchange of certificates all old connections have been asked to go within this time. */
export const DRAIN_MS = 10_000;

/** A connection that was asked to go is cut off after this time. */
export const GRACE_MS = 30_000;

export interface LiveConnectionsOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** From 0 to 1: spreads what would happen to all connections at once. */
  readonly random: () => number;
  /** Calls back once, unless it was cancelled. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Groups connections that are one's: the identity in the certificate. */
  readonly peerKey: (socket: TLSSocket) => string;
}

interface Live {
  readonly session: ServerHttp2Session;
  readonly peer: string;
  cancel: () => void;
  streams: number;
  isLeaving: boolean;
}

export class LiveConnections {
  readonly #server: Http2SecureServer;
  readonly #options: LiveConnectionsOptions;
  readonly #live = new Set<Live>();
  readonly #perPeer = new Map<string, number>();
  #isEnding = false;

  constructor(server: Http2SecureServer, options: LiveConnectionsOptions) {
    this.#server = server;
    this.#options = options;
    server.maxConnections = CONNECTIONS_MAX;
    server.on('session', (session) => this.#add(session));
  }

  get count(): number {
    return this.#live.size;
  }

  /** New connections see these; old ones are asked to go. @throws when OpenSSL takes none of it */
  exchange(material: TlsMaterial): void {
    this.#server.setSecureContext(secureContextOptions(material));
    for (const live of this.#live) {
      if (live.isLeaving) continue;
      live.cancel();
      live.cancel = this.#options.after(this.#options.random() * DRAIN_MS, () => this.#leave(live));
    }
  }

  /** Asks all to go, now, and those that still come: the listener ends. */
  drain(): void {
    this.#isEnding = true;
    for (const live of this.#live) {
      live.cancel();
      this.#leave(live);
    }
  }

  #add(session: ServerHttp2Session): void {
    const socket = session.socket as TLSSocket;
    const peer = this.#options.peerKey(socket);
    const ofPeer = this.#perPeer.get(peer) ?? 0;
    if (ofPeer >= CONNECTIONS_PER_PEER_MAX) {
      session.destroy(undefined, ENHANCE_YOUR_CALM);
      return;
    }
    this.#perPeer.set(peer, ofPeer + 1);
    const live: Live = { session, peer, streams: 0, cancel: () => undefined, isLeaving: false };
    live.cancel = this.#options.after(this.#timeLeftMs(socket), () => this.#leave(live));
    this.#live.add(live);
    session.on('stream', (stream: ServerHttp2Stream) => {
      live.streams += 1;
      stream.once('close', () => {
        live.streams -= 1;
      });
    });
    session.setTimeout(IDLE_TIMEOUT_MS, () => {
      if (live.streams === 0) this.#leave(live);
    });
    session.once('close', () => this.#remove(live));
    // It came between the order to end and the end of listening: nobody else would ask it to go.
    if (this.#isEnding) this.#leave(live);
  }

  /** Until it is old, or its certificate ends. Spread, so that a fleet does not come back at once. */
  #timeLeftMs(socket: TLSSocket): number {
    const age = CONNECTION_AGE_MS_MAX * (1 - this.#options.random() / 10);
    const validTo = Date.parse(socket.getPeerX509Certificate()?.validTo ?? '');
    const untilEnd = validTo - this.#options.now();
    return Number.isNaN(untilEnd) ? age : Math.max(0, Math.min(age, untilEnd));
  }

  #leave(live: Live): void {
    if (live.isLeaving) return;
    live.isLeaving = true;
    // The frame names the last request that is served: whoever sent a later one knows that it was not.
    live.session.close();
    live.cancel = this.#options.after(GRACE_MS, () => live.session.destroy());
  }

  #remove(live: Live): void {
    live.cancel();
    this.#live.delete(live);
    const left = (this.#perPeer.get(live.peer) ?? 1) - 1;
    if (left === 0) this.#perPeer.delete(live.peer);
    else this.#perPeer.set(live.peer, left);
  }
}

const ENHANCE_YOUR_CALM = 0xb;
