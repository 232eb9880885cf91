import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatAge, formatBytes, formatDuration, parseBytes } from '../../src/cli/human-units.ts';

describe('human units', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [10 * 1024, '10 KiB'],
    [1.5 * 1024 ** 3, '1.5 GiB'],
  ])('formatBytes(%d) is %s', (sizeBytes, text) => {
    expect(formatBytes(sizeBytes)).toBe(text);
  });

  it.each([
    ['20G', 20 * 1024 ** 3],
    ['512 MiB', 512 * 1024 ** 2],
    ['1.5t', 1.5 * 1024 ** 4],
    ['4096', 4096],
    ['1k', 1024],
  ])('parseBytes(%j) is %d', (text, sizeBytes) => {
    expect(parseBytes(text)).toBe(sizeBytes);
  });

  it.each(['', '0', '-1', 'G', '1.2.3', '1x', '1e9', '99999999999P'])(
    'parseBytes(%j) is refused',
    (text) => {
      expect(() => parseBytes(text)).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
    },
  );

  it('parseBytes() never gives anything but a positive whole number', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          const sizeBytes = parseBytes(text);
          expect(Number.isSafeInteger(sizeBytes) && sizeBytes > 0).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_ARGUMENT' });
        }
      }),
    );
  });

  it.each([
    [500, 'now'],
    [-5000, 'now'],
    [1000, '1 s ago'],
    [3 * 60_000, '3 min ago'],
    [3_600_000, '1 hour ago'],
    [49 * 3_600_000, '2 days ago'],
  ])('formatAge() of %d ms is %s', (ageMs, text) => {
    const createdAt = '2026-01-01T00:00:00.000Z';
    expect(formatAge(createdAt, Date.parse(createdAt) + ageMs)).toBe(text);
  });

  it.each([
    [1.234, '1.2 ms'],
    [250, '250 ms'],
    [1500, '1.5 s'],
    [125_000, '2 min 5 s'],
  ])('formatDuration(%d) is %s', (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text);
  });
});
