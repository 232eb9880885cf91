/**
 * Fills a btrfs until it has no room for metadata: data takes whatever metadata could grow into, then small
 * files, which lie in the metadata, take the rest. What was there before stays.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const CHUNK = Buffer.alloc(2 ** 20, 7);
/** Small enough to lie in the metadata, and nothing that can be made smaller. */
const NOISE = randomBytes(900).toString('hex');
/** Failures one after the other, each behind a commit, after which there is no room. */
const FAILURES = 3;

/** @param root of the filesystem */
export function fillMetadata(root: string): void {
  const folder = join(root, 'filler');
  mkdirSync(folder);
  const fd = openSync(join(folder, 'data'), 'w');
  while (isDone(() => writeSync(fd, CHUNK)));
  closeSync(fd);
  execFileSync('sync', ['-f', root]);
  // Smaller ones fit where larger ones do not.
  for (const text of [NOISE, '']) {
    let failures = 0;
    for (let n = 0; failures < FAILURES; n += 1) {
      if (isDone(() => writeFileSync(join(folder, `${text.length}-${n}`), text))) failures = 0;
      else {
        failures += 1;
        execFileSync('sync', ['-f', root]);
      }
    }
  }
}

function isDone(write: () => void): boolean {
  try {
    write();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    return false;
  }
}
