/** Files that are written while they are captured. The writer is in step with the reader: no race. */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RawStat } from '../../src/backend/directory-listing.ts';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { done } from '../../src/backend/steps.ts';
import { restoreBlob } from '../../src/backend/store/blob-file.ts';
import { type CapturedFile, FileCapturer } from '../../src/backend/store/capture-file.ts';
import { ObjectFiles } from '../../src/backend/store/object-files.ts';
import { ObjectTransaction } from '../../src/backend/store/object-transaction.ts';
import { ObjectWriter } from '../../src/backend/store/object-writer.ts';
import { AT_FDCWD, closeFd, O_RDWR, openAt } from '../../src/backend/syscalls-linux.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { StoreStage } from './store-stage.ts';

let stage: StoreStage;

beforeEach(async () => {
  stage = new StoreStage();
  await stage.open();
});
afterEach(() => stage?.[Symbol.dispose]());

/** Disturbs the file after each read, before anybody asks whether it held still. */
class DisturbedWriter extends ObjectWriter {
  disturb: () => void = () => {};
  reads = 0;

  override putBlob(
    fromFd: number,
    stat: RawStat,
    isStill: () => boolean,
  ): ReturnType<ObjectWriter['putBlob']> {
    return super.putBlob(fromFd, stat, () => {
      this.reads += 1;
      this.disturb();
      return isStill();
    });
  }

  override putClone(): null {
    return null;
  }
}

function capture(
  content: Buffer | string,
  disturb: (path: string, reads: number) => void,
): { readonly captured: CapturedFile | null; readonly bytes: Buffer } {
  const path = join(stage.live, 'f');
  writeFileSync(path, content);
  using files = new ObjectFiles(stage.objects);
  using transaction = new ObjectTransaction(files, join(stage.own, 'working/test'));
  using writer = new DisturbedWriter(files, transaction.fd);
  using tree = openDirectoryTree(stage.live, 'live');
  writer.disturb = () => disturb(path, writer.reads);
  const captured = new FileCapturer(tree, files, writer).capture({
    path: 'f' as RawPath,
    previous: null,
    isAnnounced: false,
  });
  transaction.addStaged(writer.directory, writer.takeStaged());
  transaction.commitSync();
  return { captured, bytes: contentOf(files, captured) };
}

function contentOf(files: ObjectFiles, captured: CapturedFile | null): Buffer {
  const to = join(stage.base, 'restored');
  writeFileSync(to, '');
  if (captured === null || captured.content === null) return Buffer.alloc(0);
  const fd = files.open('blob', captured.content.id);
  const toFd = openAt(AT_FDCWD, to, O_RDWR);
  done(restoreBlob(fd, captured.content.id, toFd));
  closeFd(fd);
  closeFd(toFd);
  return readFileSync(to);
}

test('a file written during the first reads is read again until it holds still', () => {
  const { captured, bytes } = capture('0', (path, reads) => {
    if (reads < 3) writeFileSync(path, String(reads));
  });
  expect(captured?.isSettled).toBe(true);
  expect(bytes.toString()).toBe('2');
});

test('a file that never holds still is captured as it was read, and not called settled', () => {
  const { captured, bytes } = capture('0', (path, reads) => writeFileSync(path, String(reads)));
  expect(captured?.isSettled).toBe(false);
  expect(bytes.toString()).toMatch(/^[0-9]+$/);
});

test('a large file that shrinks while it is read is captured at its new length', () => {
  const { captured, bytes } = capture(Buffer.alloc(3_000_000, 'x'), (path, reads) => {
    if (reads === 1) truncateSync(path, 2_500_000);
  });
  expect(captured?.isSettled).toBe(true);
  expect(bytes.equals(Buffer.alloc(2_500_000, 'x'))).toBe(true);
});

test('a file that is gone is no error and nothing is captured', () => {
  using files = new ObjectFiles(stage.objects);
  using transaction = new ObjectTransaction(files, join(stage.own, 'working/test'));
  using tree = openDirectoryTree(stage.live, 'live');
  const capturer = new FileCapturer(tree, files, transaction.writer);
  const rest = { previous: null, isAnnounced: false };
  expect(capturer.capture({ path: 'missing' as RawPath, ...rest })).toBe(null);
});
