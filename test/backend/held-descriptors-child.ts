/**
 * Opens something between the injector's marks, closes it again if that worked, and says how many
 * descriptors of it are still open. Argument: an `OpeningRequest`.
 */
import { readdirSync, readlinkSync, writeSync } from 'node:fs';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { ObjectFiles } from '../../src/backend/store/object-files.ts';
import { ObjectTransaction } from '../../src/backend/store/object-transaction.ts';
import { lockObjects, lockObjectsSync } from '../../src/backend/store/objects-lock.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { LockFile } from '../../src/locks/lock-file.ts';
import { mark } from '../prove/injector.ts';

const OPENINGS = {
  'a tree': ({ path }) => {
    using tree = openDirectoryTree(path, 'live');
    tree.readDirectory('below' as RawPath);
  },
  'a lock file': ({ path }) => {
    const file = new LockFile(`${path}/lock`);
    file.tryLock();
    file.close();
  },
  'the lock of objects': async ({ path }) => {
    (await lockObjects(`${path}/objects-lock`, 'shared'))[Symbol.dispose]();
  },
  'the lock of objects, at once': ({ path }) => {
    lockObjectsSync(`${path}/objects-lock`, 'shared')[Symbol.dispose]();
  },
  'a transaction': ({ path, files }) => {
    new ObjectTransaction(files, `${path}/working/one`)[Symbol.dispose]();
  },
} as const satisfies Record<string, (place: Place) => Promise<void> | void>;

interface Place {
  readonly path: string;
  readonly files: ObjectFiles;
}

export interface OpeningRequest {
  readonly opening: keyof typeof OPENINGS;
  readonly path: string;
}

export interface OpeningOutcome {
  readonly failed: boolean;
  /** What open descriptors lead to, at the path and below; there were none before. */
  readonly held: readonly string[];
}

function heldBelow(path: string): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(path) ? [target] : [];
    } catch {
      // The descriptor that listed the others.
      return [];
    }
  });
}

if (import.meta.main) {
  const { opening, path } = JSON.parse(process.argv[2] ?? '') as OpeningRequest;
  const files = new ObjectFiles(`${path}/objects`);
  const open = (): Promise<void> | void => OPENINGS[opening]({ path, files });
  // What is loaded on first use is loaded before anything is made to fail.
  await open();
  let failed = false;
  mark('begin');
  try {
    await open();
  } catch {
    failed = true;
  }
  mark('end');
  files[Symbol.dispose]();
  const outcome: OpeningOutcome = { failed, held: heldBelow(path) };
  writeSync(1, JSON.stringify(outcome));
}
