/**
 * Answers that the proxy gives in place of the server, as bytes: the id is the client's own, byte for
 * byte, so that 2^53+1 comes back as 2^53+1.
 */
import { failureText } from '../failure-text.ts';
import type { ClientMessage } from './client-message.ts';

/** JSON-RPC's "internal error" and "invalid request", and the first code that is free for servers. */
const INTERNAL_ERROR = -32603;
const INVALID_REQUEST = -32600;
const SERVER_ERROR = -32000;

type ReadMessage = Extract<ClientMessage, { kind: 'read' }>;

/**
 * For a message whose calls were not passed on; null when nobody can be answered. A call gets the result
 * of a tool that failed, so that the model reads why; anything else of a batch was not passed on either.
 */
export function refuseMessage(message: ReadMessage, failure: unknown): Buffer | null {
  const why = failureText(failure);
  const answers = message.requests.map(({ id, isCall }) =>
    isCall
      ? answer(id, 'result', { content: [{ type: 'text', text: why }], isError: true })
      : answer(id, 'error', { code: INTERNAL_ERROR, message: `Part of a refused batch. ${why}` }),
  );
  if (answers.length === 0) return null;
  return Buffer.from(`${message.isBatch ? `[${answers.join(',')}]` : answers.join('')}\n`);
}

/** For a message that cannot be read for sure and may be a call. */
export function refuseUnclear(failure: unknown): Buffer {
  const message = failureText(failure);
  return Buffer.from(`${answer(NULL_ID, 'error', { code: INVALID_REQUEST, message })}\n`);
}

export function refuseTooLong(sizeBytes: number, limitBytes: number): Buffer {
  const message = `A message of ${sizeBytes} bytes was not passed on: ghostsnap mcp-proxy holds at most ${limitBytes}.`;
  const data = { code: 'LIMIT_EXCEEDED' };
  return Buffer.from(`${answer(NULL_ID, 'error', { code: INVALID_REQUEST, message, data })}\n`);
}

const NULL_ID = Buffer.from('null');

function answer(id: Buffer, member: 'result' | 'error', value: unknown): string {
  return `{"jsonrpc":"2.0","id":${id.toString('utf8')},"${member}":${JSON.stringify(value)}}`;
}

/** For a request that did not reach the server, or whose answer did not come back. */
export function transportError(id: Buffer, message: string): Buffer {
  return Buffer.from(`${answer(id, 'error', { code: SERVER_ERROR, message })}\n`);
}
