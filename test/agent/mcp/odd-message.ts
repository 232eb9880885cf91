/**
 * Messages as clients, servers and bugs write them: JSON text with escapes, repeated keys, numbers that
 * no parser keeps, batches, and text that is no JSON at all.
 */
import fc from 'fast-check';

/** A JSON string that may write any of its characters as an escape. */
export const jsonString = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(text, fc.array(fc.nat({ max: 9 }), { maxLength: 12 })).map(([value, ways]) => {
    const units = [...Array(value.length).keys()].map((index) => {
      const unit = value.charAt(index);
      const isPlain = unit >= ' ' && unit !== '"' && unit !== '\\' && !/[\ud800-\udfff]/.test(unit);
      if (isPlain && (ways[index] ?? 1) > 0) return unit;
      return unit === '/' && ways[index] === 0
        ? '\\/'
        : `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
    });
    return `"${units.join('')}"`;
  });

const space = fc.constantFrom('', '', '', ' ', '\t', '  ', '\r');

const word = fc.constantFrom(
  'tools/call',
  'tools/list',
  'ping',
  'notifications/cancelled',
  'name',
  'method',
  'result',
  '__proto__',
  'tools/call ',
  'Tools/call',
  '',
);

const scalar = fc.oneof(
  fc.constantFrom('0', '-1', '1e999', '9007199254740993', '1.0', '-0', 'true', 'false', 'null'),
  jsonString(fc.oneof(word, fc.string({ unit: 'binary', maxLength: 12 }))),
);

const key = jsonString(
  fc.constantFrom(
    'id',
    'method',
    'params',
    'name',
    '_meta',
    'arguments',
    'traceparent',
    'result',
    'x',
  ),
);

const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    scalar,
    fc
      .tuple(space, fc.array(fc.tuple(key, tie('value'), space), { maxLength: 4 }))
      .map(
        ([gap, members]) =>
          `{${gap}${members.map(([name, inner, after]) => `${name}${after}:${inner}`).join(`${gap},`)}}`,
      ),
    fc
      .tuple(space, fc.array(tie('value'), { maxLength: 3 }))
      .map(([gap, items]) => `[${items.join(`,${gap}`)}${gap}]`),
  ),
}));

const method = jsonString(fc.constantFrom('tools/call', 'tools/call', 'tools/list', 'ping', 'x/y'));

/** Something like a request: its members in any order, any of them repeated or missing. */
const request = fc
  .array(
    fc.oneof(
      method.map((text) => `"method":${text}`),
      value.map((text) => `"params":${text}`),
      scalar.map((text) => `"id":${text}`),
      fc
        .tuple(jsonString(fc.constantFrom('read', 'write')), value, value)
        .map(
          ([name, args, meta]) => `"params":{"name":${name},"arguments":${args},"_meta":${meta}}`,
        ),
      fc.tuple(key, value).map(([name, inner]) => `${name}:${inner}`),
    ),
    { maxLength: 5 },
  )
  .map((members) => `{${members.join(',')}}`);

/** One line without its newline. */
export const oddMessage: fc.Arbitrary<string> = fc
  .oneof(
    { weight: 5, arbitrary: request },
    { weight: 2, arbitrary: value },
    {
      weight: 2,
      arbitrary: fc.array(request, { maxLength: 3 }).map((all) => `[${all.join(',')}]`),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 30 }) },
    // Cut off, doubled, or with something after it.
    {
      weight: 2,
      arbitrary: fc
        .tuple(request, fc.nat({ max: 60 }), fc.constantFrom('', '}', ' {}', '\rnull', '\u0000'))
        .map(([text, cut, tail]) => text.slice(0, text.length - (cut % 7)) + tail),
    },
  )
  .map((text) => text.replaceAll('\n', ' '));

/** The same bytes in pieces of any size. */
export function inPieces(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let from = 0;
  for (let turn = 0; from < bytes.length; turn += 1) {
    const size = sizes[turn % Math.max(sizes.length, 1)] ?? bytes.length;
    pieces.push(bytes.subarray(from, from + size));
    from += size;
  }
  return pieces;
}

/** Whether any parser that reads JSON as JSON.parse does finds a call of a tool in it. */
export function isCallForJsonParse(line: string): boolean {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    // No message for such a parser.
    return false;
  }
  const messages: readonly unknown[] = Array.isArray(parsed) ? parsed : [parsed];
  return messages.some(
    (one) => typeof one === 'object' && one !== null && Reflect.get(one, 'method') === 'tools/call',
  );
}
