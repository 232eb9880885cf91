import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keptInput, keptPrompt } from '../../src/core/kept-input.ts';
import { CALL_INPUT_BYTES_MAX, PROMPT_BYTES_MAX } from '../../src/core/limits.ts';
import { REDACTED, redactText } from '../../src/core/redaction.ts';

const ALNUM = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const random = (minLength: number, alphabet = ALNUM): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength, maxLength: minLength + 20 });
/** Starts with what no other word in these tests has. */
const secret = random(20).map((text) => `zQ9${text}`);

/** Text around a secret: words, quotes, brackets, line breaks. */
const around = fc
  .array(
    fc.constantFrom('ls -la', 'curl', '{', '"x":', '\n', ' && ', "'", 'données', '$HOME', '🙂'),
  )
  .map((words) => words.join(' '));

/** Every way a secret is known by, with the secret in it. */
const SHAPES: readonly ((value: string) => string)[] = [
  (value) => `Authorization: Bearer ${value}`,
  (value) => `-H "authorization: token ${value}"`,
  (value) => `bearer ${value}`,
  (value) => `Cookie: sid=${value}; theme=dark`,
  (value) => `export API_TOKEN=${value}`,
  (value) => `DB_PASSWORD="${value} with spaces"`,
  (value) => `password: ${value}`,
  (value) => `{"client_secret": "${value}"}`,
  (value) => `-d "{\\"apiKey\\": \\"${value}\\"}"`,
  (value) => `--api-key ${value}`,
  (value) => `--password='${value}'`,
  (value) => `https://user:${value}@host.example/path`,
  (value) => `postgres://${value}@db:5432/x`,
  (value) => `curl -u admin:${value} x`,
  (value) => `AKIA${value.toUpperCase()}`,
  (value) => `ghp_${value}`,
  (value) => `github_pat_${value}`,
  (value) => `sk-${value}`,
  (value) => `sk-proj-${value}`,
  (value) => `xoxb-${value}`,
  (value) => `AIza${value}`,
  (value) => `eyJ${value}.${value}.${value}`,
  (value) => `-----BEGIN RSA PRIVATE KEY-----\n${value}\n-----END RSA PRIVATE KEY-----`,
  (value) => `-----BEGIN PRIVATE KEY-----\n${value}`,
];

const carrier = fc.tuple(fc.constantFrom(...SHAPES), secret, around, around);

function holds(text: string, value: string): boolean {
  return text.toLowerCase().includes(value.toLowerCase());
}

describe('redactText()', () => {
  it('leaves nothing of a secret in any known shape, whatever stands around it', () => {
    fc.assert(
      fc.property(carrier, ([shape, value, before, after]) => {
        const redacted = redactText(`${before}\n${shape(value)}\n${after}`);
        expect(holds(redacted, value)).toBe(false);
        expect(redacted).toContain(REDACTED);
      }),
      { numRuns: 1000 },
    );
  });

  it('changes nothing more when it is done twice', () => {
    fc.assert(
      fc.property(carrier, fc.string(), ([shape, value, before, after], noise) => {
        const once = redactText(`${before} ${shape(value)} ${noise} ${after}`);
        expect(redactText(once)).toBe(once);
      }),
      { numRuns: 1000 },
    );
  });

  it('leaves ordinary commands and prose alone', () => {
    const harmless = [
      'npm test && git commit -m "fix: parse tokens"',
      'rm -rf build dist',
      'curl https://example.com/a?b=c',
      'ssh build.example.com ls',
      'max_tokens=4096 node run.js',
      'The user asked for a login page; write tests.',
      'PATH=/usr/bin NODE_ENV=test vitest run',
      'user@example.com wrote: see https://example.com/@name',
    ];
    expect(harmless.map(redactText)).toEqual(harmless);
  });
});

describe('keptInput()', () => {
  it('is bounded, parseable, of one line, and free of the secret, for any JSON', () => {
    const value = fc.tuple(carrier, fc.jsonValue({ maxDepth: 6 }), fc.string({ maxLength: 4000 }));
    fc.assert(
      fc.property(value, ([[shape, hidden], json, long]) => {
        const input = { command: shape(hidden), json, long, nested: { list: [shape(hidden)] } };
        const kept = keptInput(input, 'on');
        expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(CALL_INPUT_BYTES_MAX);
        expect(() => JSON.parse(kept)).not.toThrow();
        expect(kept).not.toContain('\n');
        expect(holds(kept, hidden)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it('never keeps the beginning of a secret that lies across a cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 9000 }), secret, (at, value) => {
        const kept = keptInput({ content: `${'x '.repeat(at)}sk-${value}${value}` }, 'on');
        expect(kept.includes('zQ9')).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it('drops the values of fields with secret names, not their limits', () => {
    const input = {
      token: 'a',
      nested: [{ dbPassword: ['x'], Authorization: 'b' }],
      max_tokens: 8,
    };
    expect(JSON.parse(keptInput(input, 'on'))).toEqual({
      token: REDACTED,
      nested: [{ dbPassword: REDACTED, Authorization: REDACTED }],
      max_tokens: 8,
    });
  });

  it('takes every assignment beside a .env file for a secret', () => {
    const kept = keptInput({ file_path: '/w/.env.local', content: 'STRIPE=abc\nA="b c"' }, 'on');
    expect(JSON.parse(kept).content).toBe(`STRIPE=${REDACTED}\nA=${REDACTED}`);
    expect(keptInput({ command: 'echo DSN=hunter2 >> .env' }, 'on')).not.toContain('hunter2');
    expect(keptInput({ command: 'NODE_ENV=test npm test' }, 'on')).toContain('NODE_ENV=test');
  });

  it('keeps a field named __proto__ a field, and gives null for what JSON does not know', () => {
    const input: unknown = JSON.parse('{"__proto__": {"x": 1}}');
    expect(keptInput(input, 'on')).toBe('{"__proto__":{"x":1}}');
    expect(keptInput([undefined, () => 1, 10n], 'on')).toBe('[null,null,"10"]');
    const loop: Record<string, unknown> = {};
    loop.loop = loop;
    expect(Buffer.byteLength(keptInput(loop, 'on'))).toBeLessThan(200);
  });

  it('is the input itself when redaction is off', () => {
    expect(keptInput({ token: 'sk-abcdefghijklmnopqrst' }, 'off')).toContain('sk-abcdef');
  });
});

describe('keptPrompt()', () => {
  it('is one line within its bound, cut between characters, without the secret', () => {
    fc.assert(
      fc.property(
        carrier,
        fc.string({ unit: 'grapheme', maxLength: 3000 }),
        ([shape, value], text) => {
          const kept = keptPrompt(`${shape(value)}\n${text}`, 'on');
          expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(PROMPT_BYTES_MAX);
          expect(kept).not.toMatch(/[\n\r\t]/);
          expect(holds(kept, value)).toBe(false);
        },
      ),
      { numRuns: 300 },
    );
  });
});
