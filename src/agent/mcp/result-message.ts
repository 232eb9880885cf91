/**
 * Putting a message into a server's answer, where the model reads it: one more block of text at the end of
 * `result.content`. Every other byte of the line stays as it is.
 */
import { idKey } from './client-message.ts';
import { JsonScanner, type Span } from './json-scanner.ts';

/** An element of a batch, and `result.content` in it. */
const DEPTH_MAX = 3;
const OPEN_ARRAY = 0x5b;

interface Answer {
  id: string | null;
  content: Span | null;
}

/**
 * @param line one line of the server, whole
 * @param messages by the id (`idKey`) of the answer
 * @returns the line, and the messages that found no place in it: an error, or a result of another shape
 */
export function withMessages(
  line: Buffer,
  messages: ReadonlyMap<string, string>,
): { readonly line: Buffer; readonly left: readonly string[] } {
  const left = new Map(messages);
  const parts: Buffer[] = [];
  let from = 0;
  for (const { id, content } of answersIn(line)) {
    const message = id === null ? undefined : left.get(id);
    if (id === null || message === undefined || content === null) continue;
    const end = content.end - 1;
    const isEmpty = line.toString('latin1', content.start + 1, end).trim() === '';
    const block = JSON.stringify({ type: 'text', text: message });
    parts.push(line.subarray(from, end), Buffer.from(`${isEmpty ? '' : ','}${block}`));
    from = end;
    left.delete(id);
  }
  return { line: Buffer.concat([...parts, line.subarray(from)]), left: [...left.values()] };
}

/** In the order in which their contents lie in the line. */
function answersIn(line: Buffer): readonly Answer[] {
  const answers: Answer[] = [];
  let current: Answer = { id: null, content: null };
  const scanner = new JsonScanner({
    depthMax: DEPTH_MAX,
    onValue: (path, span, raw) => {
      const inner = path[0] === null ? path.slice(1) : path;
      const [key, below] = inner;
      if (inner.length === 1 && key === 'id' && raw !== null) {
        current.id = idKey(Buffer.from(raw));
      } else if (inner.length === 2 && key === 'result' && below === 'content') {
        // Twice the same key: which one counts is the client's choice, so neither is touched.
        const isFirst = current.content === null && line[span.start] === OPEN_ARRAY;
        current.content = isFirst ? span : null;
      } else if (inner.length === 0) {
        answers.push(current);
        current = { id: null, content: null };
      }
    },
  });
  scanner.feed(line);
  return scanner.end() ? answers : [];
}

/** For a message that has no place in an answer: clients show it, or leave it. */
export function logNotification(message: string): Buffer {
  const params = { level: 'warning', logger: 'ghostsnap', data: message };
  return Buffer.from(
    `${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params })}\n`,
  );
}
