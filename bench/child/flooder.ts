/**
 * A flood of bad requests over HTTP/2, in a process of its own: as many as the service refuses.
 *
 * Arguments: URL, certificate, key, authority (files). Prints "flooding" once it does, and the count of
 * refusals when it is told to end.
 */
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';

const [url = '', cert = '', key = '', ca = ''] = process.argv.slice(2);
const CONNECTIONS = 4;
const STREAMS = 8;
const SHOWN_AFTER = 200;

const TARGET = '/v1/workspaces/ws_01JDSB0000000000000000000A/calls';
const HEAD = { ':method': 'POST', ':path': TARGET, 'content-type': 'application/json' };
const FIELDS = '"session":"s","harness":"bench","tool":"Bash","key":"k"';
/** One of each place where a request can be stopped. */
const BAD: readonly (readonly [http2.OutgoingHttpHeaders, string])[] = [
  [{ ...HEAD, ':path': `${TARGET}/%2e%2e/x` }, '{}'],
  [{ ...HEAD, 'content-encoding': 'br' }, '{}'],
  [{ ...HEAD, 'idempotency-key': 'k' }, `{${FIELDS}`],
  [{ ...HEAD, 'idempotency-key': 'k' }, `{"key":"x",${FIELDS}}`],
  [{ ...HEAD, 'idempotency-key': 'k' }, '['.repeat(190)],
  [{ ...HEAD, 'idempotency-key': 'k' }, `{${FIELDS},"unknown":1}`],
  [{ ...HEAD, 'idempotency-key': 'k' }, `{${FIELDS}}`],
];

const read = (file: string): string => readFileSync(file, 'utf8');
const tls = { cert: read(cert), key: read(key), ca: read(ca) };
let refused = 0;
let next = 0;

function ask(session: http2.ClientHttp2Session): void {
  const [headers, body] = BAD[next % BAD.length] ?? [HEAD, ''];
  next += 1;
  const stream = session.request(headers);
  stream.on('error', () => undefined);
  stream.on('response', ({ ':status': status }) => {
    if (Number(status) < 400) throw new Error(`let through: ${status}`);
    refused += 1;
    if (refused === SHOWN_AFTER) process.stdout.write('flooding\n');
  });
  stream.on('close', () => ask(session));
  stream.resume();
  stream.end(body);
}

for (let n = 0; n < CONNECTIONS; n += 1) {
  const session = http2.connect(url, tls);
  for (let at = 0; at < STREAMS; at += 1) ask(session);
}
process.on('SIGTERM', () => {
  process.stdout.write(`${refused}\n`, () => process.exit(0));
});
