/** What a transaction publishes: everything that was staged whole, however much it is, and nothing else. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RawStat } from '../../src/backend/directory-listing.ts';
import { ObjectFiles } from '../../src/backend/store/object-files.ts';
import { ObjectTransaction } from '../../src/backend/store/object-transaction.ts';
import { ObjectWriter } from '../../src/backend/store/object-writer.ts';
import type { ObjectId } from '../../src/backend/store/stored-entry.ts';
import { AT_FDCWD, closeFd, O_RDONLY, openAt } from '../../src/backend/syscalls-linux.ts';
import { StoreStage } from './store-stage.ts';

let stage: StoreStage;

beforeEach(async () => {
  stage = new StoreStage();
  await stage.open();
});
afterEach(() => stage?.[Symbol.dispose]());

/** Stages a blob that holds `text`. */
function stageBlob(writer: ObjectWriter, text: string): ObjectId {
  const path = join(stage.live, 'f');
  writeFileSync(path, text);
  const fd = openAt(AT_FDCWD, path, O_RDONLY);
  const stat = new RawStat();
  expect(stat.readFd(fd)).toBe(0);
  try {
    const reference = writer.putBlob(fd, stat, () => true);
    if (reference === 'changed') throw new Error('nobody changes it');
    return reference.id;
  } finally {
    closeFd(fd);
  }
}

test.each([3, 24, 25, 90])(
  '%i objects of two writers are published, some staged twice',
  (count) => {
    using files = new ObjectFiles(stage.objects);
    using transaction = new ObjectTransaction(files, join(stage.own, 'working/test'));
    using other = new ObjectWriter(files, transaction.fd);
    const ids = new Set<ObjectId>();
    for (let i = 0; i < count; i += 1) {
      ids.add(stageBlob(i % 2 === 0 ? transaction.writer : other, `content ${i}`));
      if (i % 5 === 0) stageBlob(other, `content ${i}`);
      if (i % 64 === 63) transaction.addStaged(other.directory, other.takeStaged());
    }
    transaction.addStaged(other.directory, other.takeStaged());
    transaction.commitSync();
    expect(ids.size).toBe(count);
    for (const id of ids) expect(files.has('blob', id)).toBe(true);
  },
);

test('an object that could not be written whole is not published with the others', () => {
  const small = join(stage.base, 'small');
  mkdirSync(small);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', small]);
  try {
    for (const name of ['objects', 'working']) mkdirSync(join(small, name));
    using files = new ObjectFiles(join(small, 'objects'));
    using transaction = new ObjectTransaction(files, join(small, 'working/test'));
    for (let i = 0; i < 30; i += 1) stageBlob(transaction.writer, `content ${i}`);
    const tooMuch = randomBytes(600 * 1024)
      .toString('latin1')
      .slice(0, 600 * 1024);
    expect(() => stageBlob(transaction.writer, tooMuch)).toThrow(/ENOSPC/);
    transaction.commitSync();
    const shards = readdirSync(join(small, 'objects'));
    const published = shards.flatMap((shard) => readdirSync(join(small, 'objects', shard)));
    expect(published).toHaveLength(30);
  } finally {
    execFileSync('umount', [small]);
  }
});
