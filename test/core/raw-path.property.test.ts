import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  comparePaths,
  displayPath,
  isWithin,
  parseDisplayPath,
  parseRawPath,
  type RawPath,
  rawFromText,
} from '../../src/core/raw-path.ts';

const bytes = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((array) => Buffer.from(array).toString('latin1'));
const segment = bytes
  .map((raw) => raw.replaceAll('/', '_').replaceAll('\0', '_'))
  .filter((raw) => raw !== '.' && raw !== '..');
const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((s) => s.join('/') as RawPath);

describe('raw paths', () => {
  it('displayPath() and parseDisplayPath() are inverse for every name', () => {
    fc.assert(
      fc.property(bytes, (raw) => {
        expect(parseDisplayPath(displayPath(raw))).toBe(raw);
      }),
    );
  });

  it('displayPath() shows no control character', () => {
    fc.assert(
      fc.property(bytes, (raw) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for.
        expect(displayPath(raw)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
      }),
    );
  });

  it('displayPath() shows UTF-8 names as they are', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zäöü€😀 .-]+$/u), (text) => {
        expect(displayPath(Buffer.from(text, 'utf8').toString('latin1'))).toBe(text);
      }),
    );
  });

  it('rawFromText() gives the bytes of UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(rawFromText(text)).toBe(Buffer.from(text, 'utf8').toString('latin1'));
      }),
    );
  });

  it('comparePaths() orders as a walk visits: a directory directly before what is in it', () => {
    fc.assert(
      fc.property(fc.array(path, { maxLength: 12 }), (paths) => {
        const sorted = [...paths].sort(comparePaths);
        const bySegments = [...paths].sort((a, b) => {
          const x = a.split('/');
          const y = b.split('/');
          for (let i = 0; i < Math.min(x.length, y.length); i += 1) {
            if (x[i]! !== y[i]!) return x[i]! < y[i]! ? -1 : 1;
          }
          return x.length - y.length;
        });
        expect(sorted).toEqual(bySegments);
      }),
    );
  });

  it('parseRawPath() refuses what does not stay inside', () => {
    for (const bad of ['/etc', '..', 'a/../b', 'a//b', './a', 'a/', '']) {
      expect(() => parseRawPath(bad)).toThrow(expect.objectContaining({ code: 'PATH_OUTSIDE' }));
    }
    expect(() => parseRawPath('a\0b')).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
  });

  it('isWithin() does not mistake a common beginning for an ancestor', () => {
    expect(isWithin('ab' as RawPath, 'a' as RawPath)).toBe(false);
    expect(isWithin('a/b' as RawPath, 'a' as RawPath)).toBe(true);
    expect(isWithin('a' as RawPath, '' as RawPath)).toBe(true);
  });
});
