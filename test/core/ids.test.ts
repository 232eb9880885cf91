import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GhostsnapError } from '../../src/core/errors.ts';
import {
  nextUlid,
  parseSnapshotId,
  snapshotId,
  ULID_RANDOM_BYTES,
  type Ulid,
  ulidTimeMs,
} from '../../src/core/ids.ts';

const randomBytes = fc.uint8Array({ minLength: ULID_RANDOM_BYTES, maxLength: ULID_RANDOM_BYTES });
const time = fc.integer({ min: 0, max: 2 ** 48 - 2 });

describe('nextUlid()', () => {
  it('is always greater than the one before, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(time, randomBytes), { maxLength: 50 }), (draws) => {
        let previous: Ulid | '' = '';
        for (const [nowMs, random] of draws) {
          const next = nextUlid(previous, nowMs, random);
          expect(next > previous).toBe(true);
          expect(next).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
          previous = next;
        }
      }),
    );
  });

  it('carries its millisecond', () => {
    fc.assert(
      fc.property(time, randomBytes, (nowMs, random) => {
        expect(ulidTimeMs(nextUlid('', nowMs, random))).toBe(nowMs);
      }),
    );
  });

  it('carries into the time when the random part is full', () => {
    const full = nextUlid('', 1000, new Uint8Array(10).fill(255));
    const next = nextUlid(full, 1000, new Uint8Array(10));
    expect(next > full).toBe(true);
    expect(ulidTimeMs(next)).toBe(1001);
  });

  it('encodes a known value', () => {
    expect(nextUlid('', 1_469_918_176_385, new Uint8Array(10))).toBe('01ARYZ6S410000000000000000');
  });
});

describe('parseSnapshotId()', () => {
  it('accepts what snapshotId() makes', () => {
    const id = snapshotId(nextUlid('', 5, new Uint8Array(10)));
    expect(parseSnapshotId(id)).toBe(id);
  });

  it.each([
    '',
    'ghost_',
    'ghost_../../etc',
    'ghost_01ARYZ6S41000000000000000I',
    '-rf',
    'ghost_8ZZZZZZZZZZZZZZZZZZZZZZZZZ',
  ])('refuses %j with BAD_ID', (text) => {
    expect(() => parseSnapshotId(text)).toThrow(
      expect.objectContaining({ code: 'BAD_ID', kind: 'usage' }) as GhostsnapError,
    );
  });
});
