import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GhostsnapError } from '../../src/core/errors.ts';
import {
  createFileLocks,
  createPoolFileLocks,
  type FileLocks,
} from '../../src/locks/file-locks.ts';
import { LockFile } from '../../src/locks/lock-file.ts';

const WORKER = join(import.meta.dirname, 'lock-worker.ts');
const PURPOSE = { purpose: 'test' };

let directory = '';
let locks: FileLocks;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ghostsnap-locks-'));
  locks = createFileLocks(directory);
});

afterEach(async () => {
  locks[Symbol.dispose]();
  for (const child of children.splice(0)) await kill(child);
  rmSync(directory, { recursive: true, force: true });
});

function worker(...args: string[]): ChildProcess {
  const child = spawn(process.execPath, [WORKER, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

/** The lines the process prints up to and including "held". */
async function untilHeld(child: ChildProcess): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout! })) {
    lines.push(line);
    if (line === 'held') return lines;
  }
  throw new Error(`the worker ended after ${JSON.stringify(lines)}`);
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function errorOf(work: () => unknown): GhostsnapError {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(GhostsnapError);
    return error as GhostsnapError;
  }
  throw new Error('nothing was thrown');
}

describe('what the next holder is told', () => {
  it('is nothing after a lock was given back', () => {
    locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 })[Symbol.dispose]();
    using again = locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 });
    expect(again.isInherited).toBe(false);
  });

  it('is that the holder before died, once', async () => {
    const child = worker('hold', directory);
    await untilHeld(child);
    await kill(child);
    const inherited = await locks.acquire('shared', { ...PURPOSE, waitMs: 0 });
    expect(inherited.isInherited).toBe(true);
    inherited[Symbol.dispose]();
    using again = locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 });
    expect(again.isInherited).toBe(false);
  });

  it('is that the holder before left something unsettled', () => {
    const first = locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 });
    first.leaveUnsettled();
    first[Symbol.dispose]();
    using second = locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 });
    expect(second.isInherited).toBe(true);
  });
});

describe('acquire() and acquireSync()', () => {
  it('refuse a lock that another process holds, naming its pid and purpose', async () => {
    const child = worker('hold', directory);
    await untilHeld(child);
    const error = errorOf(() => locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 }));
    expect(error.code).toBe('LOCKED');
    expect(error.message).toBe(`Process ${child.pid} is at work here (hold for a test).`);
    expect(error.data).toMatchObject({ pid: child.pid, purpose: 'hold for a test' });
    await expect(locks.acquire('shared', { ...PURPOSE, waitMs: 30 })).rejects.toThrow(
      error.message,
    );
  });

  it('get the lock of a process that was killed', async () => {
    const child = worker('hold', directory);
    await untilHeld(child);
    await kill(child);
    using lock = locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 });
    expect(lock.name).toBe('shared');
  });

  it('get the lock of a killed process whose child lives on', async () => {
    const child = worker('hold', directory, 'with-child');
    const [grandchild] = await untilHeld(child);
    try {
      await kill(child);
      using _lock = locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 });
    } finally {
      process.kill(Number(grandchild), 'SIGKILL');
    }
  });

  it('wait until the holder lets go', async () => {
    const child = worker('hold', directory);
    await untilHeld(child);
    const waiting = locks.acquire('shared', { ...PURPOSE, waitMs: 60_000 });
    child.stdin!.end();
    using _lock = await waiting;
    expect(JSON.parse(readFileSync(join(directory, 'shared.lock'), 'utf8'))).toMatchObject({
      pid: process.pid,
      purpose: 'test',
    });
  });

  it('do not hand a name out twice in one process', async () => {
    const first = locks.acquireSync('a', { ...PURPOSE, waitMs: 0 });
    const error = errorOf(() => locks.acquireSync('a', { ...PURPOSE, waitMs: 60_000 }));
    expect(error.code).toBe('LOCKED');
    expect(error.message).toContain('This process itself');
    using other = createFileLocks(directory);
    expect(errorOf(() => other.acquireSync('a', { ...PURPOSE, waitMs: 60_000 })).code).toBe(
      'LOCKED',
    );
    const waiting = locks.acquire('a', { ...PURPOSE, waitMs: 60_000 });
    first[Symbol.dispose]();
    using _second = await waiting;
  });

  it('keep different names apart', () => {
    using _a = locks.acquireSync('a', { ...PURPOSE, waitMs: 0 });
    using _b = locks.acquireSync('b', { ...PURPOSE, waitMs: 0 });
  });

  it('stop waiting when the signal is aborted, and leave the queue', async () => {
    using lock = locks.acquireSync('a', { ...PURPOSE, waitMs: 0 });
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = locks.acquire('a', { ...PURPOSE, waitMs: 60_000, signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
    const aborted = locks.acquire('b', { ...PURPOSE, waitMs: 0, signal });
    await expect(aborted).rejects.toMatchObject({ code: 'INTERRUPTED' });
    lock[Symbol.dispose]();
    using _next = locks.acquireSync('a', { ...PURPOSE, waitMs: 60_000 });
  });

  it('lock the file that is there when the one kept open was removed or replaced', async () => {
    locks.acquireSync('shared', { ...PURPOSE, waitMs: 1000 })[Symbol.dispose]();
    renameSync(join(directory, 'shared.lock'), join(directory, 'moved'));
    unlinkSync(join(directory, 'shared.next'));
    const child = worker('hold', directory);
    await untilHeld(child);
    const error = errorOf(() => locks.acquireSync('shared', { ...PURPOSE, waitMs: 1 }));
    expect(error.data).toMatchObject({ pid: child.pid });
  });

  it('make the directory for its owner only', () => {
    const made = join(directory, 'new', 'locks');
    using other = createFileLocks(made);
    using _lock = other.acquireSync('a', { ...PURPOSE, waitMs: 0 });
    expect(statSync(made).mode & 0o777).toBe(0o700);
    expect(statSync(join(made, 'a.lock')).mode & 0o777).toBe(0o600);
  });

  it('do without the text when the file holds garbage', async () => {
    const child = worker('hold', directory);
    await untilHeld(child);
    writeFileSync(join(directory, 'shared.lock'), '{"pid":');
    const error = errorOf(() => locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 }));
    expect(error).toMatchObject({ code: 'LOCKED', message: 'Another process is at work here.' });
  });

  it('refuse a name that is a path', () => {
    const options = { ...PURPOSE, waitMs: 0 };
    expect(() => locks.acquireSync('../a', options)).toThrow('plain file name');
  });
});

describe('a lock whose file cannot be looked at once it is locked', () => {
  it.each(['alone', 'in a pool'])('keeps nobody out afterwards (%s)', (where) => {
    const make = where === 'alone' ? createFileLocks : createPoolFileLocks;
    const [here, elsewhere] = [join(directory, 'locks'), join(directory, 'moved')];
    using ours = make(here);
    const options = { ...PURPOSE, waitMs: 0 };
    ours.acquireSync('ws', options)[Symbol.dispose]();
    renameSync(here, elsewhere);
    symlinkSync(here, here);
    expect(() => ours.acquireSync('ws', options)).toThrow(GhostsnapError);
    unlinkSync(here);
    renameSync(elsewhere, here);
    using theirs = make(here);
    theirs.acquireSync('ws', options)[Symbol.dispose]();
    const all = new LockFile(join(here, where === 'alone' ? 'ws.lock' : 'pool.lock'));
    expect(all.tryLock('exclusive')).toBe('locked');
    all.close();
  });
});

describe('64 processes on one lock', () => {
  it('never hold it together, and each gets its turns', async () => {
    const processes = 64;
    const turns = 5;
    writeFileSync(join(directory, 'counter'), '0');
    const workers = Array.from({ length: processes }, () =>
      worker('count', directory, String(turns)),
    );
    const ends = await Promise.all(workers.map((child) => once(child, 'close')));
    expect(ends.map(([code]) => code)).toEqual(Array.from({ length: processes }, () => 0));
    expect(readFileSync(join(directory, 'counter'), 'utf8')).toBe(String(processes * turns));
  });
});

describe('a process that takes the lock again at once', () => {
  it('comes after one that was waiting', async () => {
    const first = locks.acquireSync('shared', { ...PURPOSE, waitMs: 0 });
    const child = worker('hold', directory);
    const held = untilHeld(child);
    await untilBusy(join(directory, 'shared.next'));
    const order: string[] = [];
    first[Symbol.dispose]();
    const again = locks.acquire('shared', { ...PURPOSE, waitMs: 60_000 }).then((lock) => {
      order.push('again');
      lock[Symbol.dispose]();
    });
    await held;
    order.push('waiter');
    child.stdin!.end();
    await again;
    expect(order).toEqual(['waiter', 'again']);
  });
});

/** Resolves when somebody has locked the file. */
async function untilBusy(path: string): Promise<void> {
  const file = new LockFile(path);
  try {
    while (file.tryLock() === 'locked') {
      file.unlock();
      await setImmediate();
    }
  } finally {
    file.close();
  }
}
