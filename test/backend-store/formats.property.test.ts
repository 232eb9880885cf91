/** The store's formats: what is written comes back, and no damage goes unnoticed. */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { done } from '../../src/backend/steps.ts';
import { ByteWriter, FormatError } from '../../src/backend/store/binary-codec.ts';
import {
  BlobWriter,
  CHUNK_BYTES,
  encodeOneChunkBlob,
  ONE_CHUNK_PREFIX_BYTES,
  oneChunkId,
  readBlobRange,
  restoreBlob,
} from '../../src/backend/store/blob-file.ts';
import { decodeDirectory, encodeDirectory } from '../../src/backend/store/directory-object.ts';
import { decodeManifest, encodeManifest } from '../../src/backend/store/manifest.ts';
import type { ObjectId, StoredEntry } from '../../src/backend/store/stored-entry.ts';
import type { SnapshotId, WorkspaceId } from '../../src/core/ids.ts';
import type { RawName, RawPath } from '../../src/core/raw-path.ts';
import { StoreStage } from './store-stage.ts';

const latin1 = (max: number) =>
  fc
    .uint8Array({ minLength: 1, maxLength: max })
    .map((bytes) => Buffer.from(bytes).toString('latin1'));
const anyId = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('latin1') as ObjectId);
const anyXattrs = fc
  .uniqueArray(fc.record({ name: latin1(20), value: fc.uint8Array({ maxLength: 300 }) }), {
    selector: (xattr) => xattr.name,
    maxLength: 3,
  })
  .map((list) =>
    list
      .map((x) => ({ ...x, value: Buffer.from(x.value) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  );

const anyEntry: fc.Arbitrary<StoredEntry> = fc
  .record({
    name: latin1(255).map((name) => name as RawName),
    type: fc.constantFrom('file', 'dir', 'symlink', 'fifo', 'socket', 'chardev', 'mount'),
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    sizeBytes: fc.maxSafeNat(),
    mtimeSec: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    mtimeNsec: fc.integer({ min: 0, max: 999_999_999 }),
    rdev: fc.nat(),
    flags: fc.constantFrom(0, 0x10, 0x20, 0x30),
    linkGroup: fc.oneof(fc.constant(0), fc.maxSafeNat()),
    id: anyId,
    kind: fc.constantFrom('blob', 'clone', 'none'),
    target: latin1(300),
    xattrs: anyXattrs,
  })
  .map(({ id, kind, ...e }) => ({
    ...e,
    sizeBytes: e.type === 'file' ? e.sizeBytes : 0,
    rdev: e.type === 'chardev' ? e.rdev : 0,
    nlink: e.linkGroup === 0 ? 1 : 2,
    content: e.type === 'file' && kind !== 'none' ? { kind: kind as 'blob' | 'clone', id } : null,
    child: e.type === 'dir' ? id : ('' as const),
    target: e.type === 'symlink' ? e.target : '',
  })) as fc.Arbitrary<StoredEntry>;

const anyDirectory = fc
  .uniqueArray(anyEntry, { selector: (entry) => entry.name, maxLength: 8 })
  .map((entries) => entries.sort((a, b) => (a.name < b.name ? -1 : 1)));

function encoded(entries: readonly StoredEntry[]): Buffer {
  const writer = new ByteWriter();
  encodeDirectory(writer, entries);
  return Buffer.from(writer.view());
}

describe('directory objects', () => {
  test('decodeDirectory() gives back what encodeDirectory() was given', () => {
    fc.assert(
      fc.property(anyDirectory, (entries) => {
        expect(decodeDirectory(encoded(entries))).toEqual(entries);
      }),
      { numRuns: 300 },
    );
  });

  test('a directory that is cut off anywhere is a FormatError', () => {
    fc.assert(
      fc.property(anyDirectory, fc.double({ min: 0, max: 0.999, noNaN: true }), (entries, at) => {
        const bytes = encoded(entries);
        const cut = bytes.subarray(0, Math.floor(bytes.length * at));
        expect(() => decodeDirectory(cut)).toThrow(FormatError);
      }),
    );
  });

  test('random bytes behind the magic never crash the decoder otherwise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const file = Buffer.concat([Buffer.from('GSDIR\x01'), bytes]);
        try {
          decodeDirectory(file);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('manifests', () => {
  const root = encoded([]);
  const whole = encodeManifest({
    snapshot: 'ghost_01J9Z3K4M5N6P7Q8R9S0T1V2W3' as SnapshotId,
    workspace: 'ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3' as WorkspaceId,
    createdAtMs: 1_700_000_000_000,
    entries: 12,
    contentBytes: 3456,
    root: {
      ...decodeDirectory(encoded([rootEntry()]))[0]!,
      name: '' as RawName,
    },
    uncovered: [{ path: 'a/\xff' as RawPath, reason: 'socket' }],
  });

  test('decodeManifest() gives back what encodeManifest() was given', () => {
    const manifest = decodeManifest(whole);
    expect(encodeManifest(manifest).equals(whole)).toBe(true);
    expect(manifest.uncovered).toEqual([{ path: 'a/\xff', reason: 'socket' }]);
    expect(root.length).toBeGreaterThan(0);
  });

  test('every single flipped bit is found', () => {
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const bytes = Buffer.from(whole);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => decodeManifest(bytes), `bit ${bit}`).toThrow(FormatError);
    }
  });

  test('every length but the right one is found', () => {
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => decodeManifest(whole.subarray(0, length))).toThrow(FormatError);
    }
  });

  test('a later version is told from damage', () => {
    const bytes = Buffer.from(whole);
    bytes[6] = 2;
    expect(() => decodeManifest(bytes)).toThrow(expect.objectContaining({ isTooNew: true }));
  });
});

function rootEntry(): StoredEntry {
  return {
    name: 'x' as RawName,
    type: 'dir',
    mode: 0o755,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    mtimeSec: -5,
    mtimeNsec: 7,
    rdev: 0,
    flags: 0,
    linkGroup: 0,
    nlink: 1,
    content: null,
    child: 'c'.repeat(32) as ObjectId,
    target: '',
    xattrs: [],
  };
}

describe('blobs', () => {
  let stage: StoreStage;

  beforeAll(() => {
    stage = new StoreStage();
  });
  afterAll(() => stage?.[Symbol.dispose]());

  function restored(blob: Buffer, id: ObjectId): Buffer {
    const from = join(stage.base, 'blob');
    const to = join(stage.base, 'restored');
    writeFileSync(from, blob);
    writeFileSync(to, '');
    const fd = openSync(from, 'r');
    const toFd = openSync(to, 'r+');
    try {
      done(restoreBlob(fd, id, toFd));
    } finally {
      closeSync(fd);
      closeSync(toFd);
    }
    return readFileSync(to);
  }

  function oneChunk(data: Buffer): { blob: Buffer; id: ObjectId } {
    const padded = Buffer.concat([Buffer.alloc(ONE_CHUNK_PREFIX_BYTES), data]);
    return { blob: encodeOneChunkBlob(data), id: oneChunkId(padded) };
  }

  test('restoreBlob() gives back any content, compressible or not', () => {
    const anyContent = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 9000, size: 'max' }),
      fc.nat({ max: 60_000 }).map((n) => new Uint8Array(n + 1).fill(65)),
    );
    fc.assert(
      fc.property(anyContent, (content) => {
        const data = Buffer.from(content);
        const { blob, id } = oneChunk(data);
        expect(restored(blob, id).equals(data)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('a streamed blob has the same id as the same content in one piece', () => {
    const data = Buffer.alloc(5000, 'abc');
    const fd = openSync(join(stage.base, 'streamed'), 'w');
    const writer = new BlobWriter(fd, data.length);
    writer.chunk(0, data);
    const id = writer.end();
    closeSync(fd);
    expect(id).toBe(oneChunk(data).id);
  });

  test('readBlobRange() reads across chunks and holes', () => {
    const path = join(stage.base, 'ranged');
    const sizeBytes = 4 * CHUNK_BYTES;
    const fd = openSync(path, 'w+');
    const writer = new BlobWriter(fd, sizeBytes);
    writer.chunk(0, Buffer.alloc(CHUNK_BYTES, 'a'));
    writer.chunk(2 * CHUNK_BYTES, Buffer.alloc(100, 'b'));
    writer.end();
    const around = readBlobRange(fd, CHUNK_BYTES - 2, 4);
    expect(around.equals(Buffer.from('aa\0\0'))).toBe(true);
    const end = readBlobRange(fd, 2 * CHUNK_BYTES + 98, 4);
    expect(end.equals(Buffer.from('bb\0\0'))).toBe(true);
    expect(readBlobRange(fd, sizeBytes - 3, 10).length).toBe(3);
    closeSync(fd);
  });

  test('every flipped bit of a blob is found', () => {
    const { blob, id } = oneChunk(Buffer.from('the content of a small file'));
    for (let bit = 0; bit < blob.length * 8; bit += 1) {
      const bytes = Buffer.from(blob);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => restored(bytes, id), `bit ${bit}`).toThrow(FormatError);
    }
  });

  test('a whole blob under the name of another is found', () => {
    const { blob } = oneChunk(Buffer.from('one'));
    expect(() => restored(blob, oneChunk(Buffer.from('two')).id)).toThrow(FormatError);
  });
});
