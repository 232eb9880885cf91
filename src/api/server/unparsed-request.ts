/**
 * What Node's parser of HTTP/1.1 gave up on: bytes that are no request, heads that never end, bodies cut off.
 *
 * The connection is closed in any case. It is answered before only when the answer can be meant for
 * nothing else: behind a request that is still under way a refusal would be read as that one's answer,
 * while its change is made. Whoever gets no answer asks again under the same key.
 */
import type http from 'node:http';
import type { Duplex } from 'node:stream';
import { GhostsnapError } from '../../core/errors.ts';
import { problemOf } from '../problem-of.ts';
import { PROBLEM_TYPE } from './reply-problem.ts';

const underWay = new WeakMap<Duplex, Set<http.IncomingMessage>>();

/** Until its answer has gone, or nobody waits for it any more. */
export function noteRequest(request: http.IncomingMessage, response: http.ServerResponse): void {
  const { socket } = request;
  const requests = underWay.get(socket) ?? new Set();
  underWay.set(socket, requests.add(request));
  response.once('close', () => requests.delete(request));
}

export function refuseUnparsed(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (socket.writable && error.code !== 'ECONNRESET' && isUnanswered(socket)) {
    socket.write(answerTo(error.code));
  }
  socket.destroy();
}

/** The one that the parser was at: its body is not whole, so that nobody has begun it. */
function isUnanswered(socket: Duplex): boolean {
  const [first, ...others] = underWay.get(socket) ?? [];
  return first === undefined || (others.length === 0 && !first.complete);
}

function answerTo(code: string | undefined): string {
  const [status, reason, why] = reasonOf(code);
  const refusal = new GhostsnapError('BAD_ARGUMENT', `The request was refused: ${why}.`, {
    hint: 'Nothing was done.',
  });
  const { problem } = problemOf(refusal, undefined);
  const body = JSON.stringify({ ...problem, status });
  return [
    `HTTP/1.1 ${status} ${reason}`,
    'connection: close',
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

function reasonOf(code: string | undefined): readonly [number, string, string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [431, 'Request Header Fields Too Large', 'its headers are too long'];
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return [413, 'Payload Too Large', 'its chunks carry too much beside the body'];
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return [408, 'Request Timeout', 'it did not come in time'];
    default:
      return [400, 'Bad Request', 'it is not HTTP'];
  }
}
