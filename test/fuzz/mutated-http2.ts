/** A connection of HTTP/2 as bytes: greeting, a request, a question whether it lives; broken in places. */
import { encodeFrame, encodeHeaders, encodeUint32, FLAG, FRAME } from '../api/tls/raw-http2.ts';
import type { Chance } from './chance.ts';
import type { SentRequest } from './request-samples.ts';

const FRAMES_ODD: readonly Buffer[] = [
  encodeFrame({ type: FRAME.settings, payload: Buffer.alloc(5) }),
  encodeFrame({ type: FRAME.settings, payload: Buffer.from('0004ffffffff', 'hex') }),
  encodeFrame({ type: FRAME.settings, stream: 1 }),
  encodeFrame({ type: FRAME.windowUpdate, stream: 1, payload: encodeUint32(0) }),
  encodeFrame({ type: FRAME.windowUpdate, payload: encodeUint32(0x7fffffff) }),
  encodeFrame({ type: FRAME.reset, stream: 1, payload: encodeUint32(8) }),
  encodeFrame({ type: FRAME.reset, stream: 99, payload: encodeUint32(8) }),
  encodeFrame({ type: FRAME.priority, stream: 1, payload: Buffer.alloc(5) }),
  encodeFrame({ type: FRAME.push, stream: 1, payload: Buffer.alloc(8) }),
  encodeFrame({ type: FRAME.continuation, stream: 1, flags: FLAG.endHeaders }),
  encodeFrame({ type: FRAME.data, stream: 7, payload: Buffer.alloc(100) }),
  encodeFrame({ type: FRAME.goaway, payload: Buffer.alloc(8) }),
  encodeFrame({ type: FRAME.ping, payload: Buffer.alloc(7) }),
  encodeFrame({ type: 0xbe, stream: 1, payload: Buffer.alloc(20) }),
];

export function sampleBytes({ method, target, headers, body }: SentRequest): readonly Buffer[] {
  const block = encodeHeaders([
    ...([
      [':method', method],
      [':scheme', 'https'],
      [':authority', 'a'],
      [':path', target],
    ] as const),
    ...headers,
  ]);
  const half = Math.floor(block.length / 2);
  const end = body === '' ? FLAG.endStream : 0;
  const stream = 1;
  const request =
    block.length % 2 === 0
      ? [encodeFrame({ type: FRAME.headers, stream, flags: FLAG.endHeaders | end, payload: block })]
      : [
          encodeFrame({
            type: FRAME.headers,
            stream,
            flags: end,
            payload: block.subarray(0, half),
          }),
          encodeFrame({
            ...{ type: FRAME.continuation, stream, flags: FLAG.endHeaders },
            payload: block.subarray(half),
          }),
        ];
  if (body !== '') {
    const payload = Buffer.from(body);
    request.push(encodeFrame({ type: FRAME.data, stream, flags: FLAG.endStream, payload }));
  }
  return [...request, encodeFrame({ type: FRAME.ping, payload: Buffer.alloc(8) })];
}

export function brokenBytes(frames: readonly Buffer[], chance: Chance): Buffer {
  let parts = [...frames];
  const how = chance.below(4);
  if (how === 0) parts.splice(chance.below(parts.length + 1), 0, chance.pick(FRAMES_ODD));
  if (how === 1) parts = parts.toSpliced(chance.below(parts.length), 1);
  if (how === 2) parts.splice(chance.below(parts.length + 1), 0, chance.pick(frames));
  const bytes = Buffer.concat(parts);
  for (let left = chance.below(4); left > 0; left -= 1) {
    bytes[chance.below(bytes.length)] = chance.below(256);
  }
  return chance.below(6) === 0 ? bytes.subarray(0, chance.below(bytes.length)) : bytes;
}
