/**
 * What a connection may ask for before anybody looks at it: bytes, headers, streams and time.
 *
 * The same bounds for HTTP/1.1 and HTTP/2, as the options that Node's servers take. What one hostile
 * connection can make the process hold is bounded by them together: below 2 MiB.
 */
import type { SecureServerOptions } from 'node:http2';
import type { ServerOptions } from 'node:https';

/** Bytes of all headers of one request: a trace context and a certificate's worth, with room. */
export const HEADER_BYTES_MAX = 16_384;

/** Headers of one request: ours has about a dozen, proxies add as many. */
export const HEADERS_MAX = 64;

/** Bytes of a request's path and query. */
export const TARGET_BYTES_MAX = 4096;

/** Milliseconds to finish a TLS handshake, the headers, a whole request: slow senders are cut off. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
export const HEADERS_TIMEOUT_MS = 10_000;
export const REQUEST_TIMEOUT_MS = 30_000;

/** Milliseconds a connection may stand without any stream or request. */
export const IDLE_TIMEOUT_MS = 120_000;

/** Requests under way on one HTTP/2 connection. */
export const STREAMS_PER_CONNECTION_MAX = 256;

/** Bytes that one stream may send before its handler takes any: a whole body, and no more. */
const STREAM_WINDOW_BYTES = 65_536;

/** MiB that one HTTP/2 connection may hold in headers, frames and waiting answers. */
const SESSION_MEMORY_MIB_MAX = 2;

/** Frames against the protocol, and streams opened and reset: after so many the connection ends. */
const INVALID_FRAMES_MAX = 20;
const REJECTED_STREAMS_MAX = 20;

/** Streams that a peer may reset at once, and a second: rapid reset costs it its connection. */
const RESETS_BURST = 200;
const RESETS_PER_SECOND = 33;

/** Milliseconds between two looks at who is late; Node's own are half a minute apart. */
const LATE_CHECK_MS = 2500;

export const HTTP1_LIMITS = {
  maxHeaderSize: HEADER_BYTES_MAX,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: LATE_CHECK_MS,
  keepAliveTimeout: IDLE_TIMEOUT_MS,
  // Two programs that disagree about where a request ends are how requests are smuggled.
  insecureHTTPParser: false,
  // judgeRequest() asks for it: Node would answer, and then hand over what follows.
  requireHostHeader: false,
  joinDuplicateHeaders: false,
} as const satisfies ServerOptions;

export const HTTP2_LIMITS = {
  allowHTTP1: false,
  maxSessionMemory: SESSION_MEMORY_MIB_MAX,
  maxHeaderListPairs: HEADERS_MAX,
  maxSessionInvalidFrames: INVALID_FRAMES_MAX,
  maxSessionRejectedStreams: REJECTED_STREAMS_MAX,
  streamResetBurst: RESETS_BURST,
  streamResetRate: RESETS_PER_SECOND,
  handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  settings: {
    enablePush: false,
    maxHeaderListSize: HEADER_BYTES_MAX,
    maxConcurrentStreams: STREAMS_PER_CONNECTION_MAX,
    initialWindowSize: STREAM_WINDOW_BYTES,
  },
} as const satisfies SecureServerOptions;
