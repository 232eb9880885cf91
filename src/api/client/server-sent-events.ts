/**
 * Server-sent events from bytes, as far as the service sends them: `id`, `data`, comments.
 *
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export interface ServerSentEvent {
  readonly id: string;
  readonly data: string;
}

/** Characters of one event: an event of the catalog stays far below 64 KiB. */
const EVENT_LENGTH_MAX = 1_048_576;

/** One event after the other; what is unfinished at the end was never sent. */
export async function* serverSentEvents(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? '';
    if (rest.length > EVENT_LENGTH_MAX) throw new Error('An event is too long.');
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== null) yield event;
    }
  }
}

function eventOf(block: string): ServerSentEvent | null {
  const data: string[] = [];
  let id = '';
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    else if (field === 'id') id = value;
  }
  return data.length === 0 ? null : { id, data: data.join('\n') };
}
