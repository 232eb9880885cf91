/**
 * Watches what a server sends while it passes by.
 *
 * It learns which requests were answered and what the list of tools says, and never holds a byte back
 * or changes one: a result of any size is looked through as it flows, in constant memory. Only while an
 * answer to `tools/list` is awaited is a line kept, up to a bound; a longer one is not learnt from.
 */
import { MCP_TOOLS_LIST_BYTES_MAX } from '../../core/limits.ts';
import { idKey } from './client-message.ts';
import { decodeString, JsonScanner, type ScanPath } from './json-scanner.ts';

export interface ServerEvents {
  /** A response with this id (`idKey`) is whole. `failed`: an error, or a tool's result that is one. */
  readonly onResponse: (id: string, outcome: 'ok' | 'failed') => void;
  readonly onToolsChanged: () => void;
  /** Whether the text of responses is wanted, asked at the start of each line. */
  readonly wantsText: () => boolean;
  /** A whole line, when its text was wanted and it is not longer than the bound. */
  readonly onText: (ids: readonly string[], text: string) => void;
}

interface Seen {
  id: string | null;
  method: string | null;
  isResponse: boolean;
  isFailed: boolean;
}

const NEWLINE = 0x0a;

/** Keys down to `result.isError` in an element of a batch. */
const DEPTH_MAX = 3;

export class ServerObserver {
  readonly #events: ServerEvents;
  #messages: Seen[] = [];
  #current: Seen = nothingSeen();
  #scanner: JsonScanner | null = null;
  /** Pieces of the line; null when it is not kept. */
  #kept: Buffer[] | null = null;
  #keptBytes = 0;

  constructor(events: ServerEvents) {
    this.#events = events;
  }

  /** Whether the bytes so far end in the middle of a line. */
  get isInLine(): boolean {
    return this.#scanner !== null;
  }

  /** Looks at bytes that have been passed on. */
  observe(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, from);
      const end = newline < 0 ? chunk.length : newline;
      this.#part(chunk.subarray(from, end));
      if (newline >= 0) this.#endLine();
      from = end + 1;
    }
  }

  /** The server has ended; a last line without its newline counts. */
  end(): void {
    if (this.#scanner !== null) this.#endLine();
  }

  #part(part: Buffer): void {
    this.#scanner ??= this.#beginLine();
    this.#scanner.feed(part);
    if (this.#kept === null) return;
    this.#kept.push(part);
    this.#keptBytes += part.length;
    if (this.#keptBytes > MCP_TOOLS_LIST_BYTES_MAX) this.#kept = null;
  }

  #beginLine(): JsonScanner {
    this.#messages = [];
    this.#current = nothingSeen();
    this.#kept = this.#events.wantsText() ? [] : null;
    this.#keptBytes = 0;
    return new JsonScanner({
      depthMax: DEPTH_MAX,
      onValue: (path, _, raw) => this.#value(path, raw),
    });
  }

  #value(path: ScanPath, raw: string | null): void {
    const isElement = path[0] === null;
    const inner = isElement ? path.slice(1) : path;
    const [key, below] = inner;
    if (inner.length === 2 && key === 'result' && below === 'isError') {
      this.#current.isFailed = raw === 'true';
    }
    if (inner.length > 1) return;
    if (key === 'id' && raw !== null) this.#current.id = raw;
    else if (key === 'method' && raw !== null) this.#current.method = decodeString(raw);
    else if (key === 'result' || key === 'error') {
      this.#current.isResponse = true;
      this.#current.isFailed ||= key === 'error';
    } else if (inner.length === 0) {
      this.#messages.push(this.#current);
      this.#current = nothingSeen();
    }
  }

  #endLine(): void {
    const isWhole = this.#scanner?.end() ?? false;
    this.#scanner = null;
    // What is no JSON answers nothing; the client will say so.
    if (!isWhole) return;
    const answered = new Map<string, 'ok' | 'failed'>();
    for (const { id, method, isResponse, isFailed } of this.#messages) {
      if (method === 'notifications/tools/list_changed') this.#events.onToolsChanged();
      if (isResponse && id !== null) {
        answered.set(idKey(Buffer.from(id)), isFailed ? 'failed' : 'ok');
      }
    }
    if (this.#kept !== null && answered.size > 0) {
      this.#events.onText([...answered.keys()], Buffer.concat(this.#kept).toString('utf8'));
    }
    this.#kept = null;
    for (const [id, outcome] of answered) this.#events.onResponse(id, outcome);
  }
}

function nothingSeen(): Seen {
  return { id: null, method: null, isResponse: false, isFailed: false };
}
