/**
 * The outside of a message: what it asks and what it answers. For a transport that treats requests,
 * notifications and responses differently, and must not touch any of them.
 */
import { idKey } from './client-message.ts';
import { decodeString, JsonScanner } from './json-scanner.ts';

export interface Envelope {
  /** Ids, as bytes, of the requests in it. */
  readonly requests: readonly Buffer[];
  /** Ids (`idKey`) that are answered. */
  readonly answered: readonly string[];
  readonly methods: readonly string[];
  /** `result.protocolVersion`, where there is one. */
  readonly protocolVersion: string | null;
}

interface Seen {
  id: string | null;
  method: string | null;
  isResponse: boolean;
}

/** Down to `result.protocolVersion` in an element of a batch. */
const DEPTH_MAX = 3;

/** Empty for what is no JSON. */
export function readEnvelope(bytes: Buffer): Envelope {
  const messages: Seen[] = [];
  let current: Seen = { id: null, method: null, isResponse: false };
  let protocolVersion: string | null = null;
  const scanner = new JsonScanner({
    depthMax: DEPTH_MAX,
    onValue: (path, _, raw) => {
      const inner = path[0] === null ? path.slice(1) : path;
      const [key, below] = inner;
      if (inner.length === 0) {
        messages.push(current);
        current = { id: null, method: null, isResponse: false };
      } else if (inner.length === 1) {
        if (key === 'id') current.id = raw;
        else if (key === 'method') current.method = decodeString(raw ?? '');
        else if (key === 'result' || key === 'error') current.isResponse = true;
      } else if (inner.length === 2 && key === 'result' && below === 'protocolVersion') {
        protocolVersion = decodeString(raw ?? '');
      }
    },
  });
  scanner.feed(bytes);
  if (!scanner.end()) return { requests: [], answered: [], methods: [], protocolVersion: null };
  const requests: Buffer[] = [];
  const answered: string[] = [];
  const methods: string[] = [];
  for (const { id, method, isResponse } of messages) {
    const known = id === null || id === 'null' ? null : Buffer.from(id);
    if (method !== null) methods.push(method);
    if (method !== null && known !== null) requests.push(known);
    if (method === null && isResponse && known !== null) answered.push(idKey(known));
  }
  return { requests, answered, methods, protocolVersion };
}
