import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPoolFileLocks, type FileLocks } from '../../src/locks/file-locks.ts';
import { holdPool, type ServiceLocks } from '../../src/locks/service-locks.ts';

const WORKER = join(import.meta.dirname, 'lock-worker.ts');
const NOW = { purpose: 'test', waitMs: 0 };
const PATIENT = { purpose: 'test', waitMs: 60_000 };

let directory = '';
/** As a command has them. */
let commands: FileLocks;
const open: Disposable[] = [];
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ghostsnap-service-locks-'));
  commands = createPoolFileLocks(directory);
});

afterEach(async () => {
  for (const locks of open.splice(0)) locks[Symbol.dispose]();
  commands[Symbol.dispose]();
  for (const child of children.splice(0)) await kill(child);
  rmSync(directory, { recursive: true, force: true });
});

async function serve(): Promise<ServiceLocks> {
  const locks = await holdPool({ directory, ...NOW });
  open.push(locks);
  return locks;
}

/** A process that has printed "held". */
async function holder(command: 'hold' | 'serve'): Promise<ChildProcess> {
  const child = spawn(process.execPath, [WORKER, command, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout! })) {
    if (line === 'held') return child;
  }
  throw new Error('the worker ended without the lock');
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

describe('a service that holds a pool', () => {
  it('keeps commands and other services out, who are told', async () => {
    const service = await serve();
    expect(() => commands.acquireSync('ws', PATIENT)).toThrow(/serves this pool/);
    await expect(commands.acquire('ws', PATIENT)).rejects.toMatchObject({ code: 'LOCKED' });
    await expect(holdPool({ directory, ...NOW })).rejects.toMatchObject({ code: 'LOCKED' });
    service[Symbol.dispose]();
    commands.acquireSync('ws', NOW)[Symbol.dispose]();
  });

  it('waits for a command that is at work', async () => {
    const child = await holder('hold');
    await expect(holdPool({ directory, ...NOW })).rejects.toMatchObject({ code: 'LOCKED' });
    const waiting = holdPool({ directory, ...PATIENT });
    await kill(child);
    open.push(await waiting);
  });

  it('hands out a name to one at a time, in the order of asking', async () => {
    const service = await serve();
    const order: string[] = [];
    const first = await service.acquire('ws', NOW);
    const second = service.acquire('ws', PATIENT).then((lock) => {
      order.push('second');
      return lock;
    });
    const third = service.acquire('ws', PATIENT).then((lock) => {
      order.push('third');
      return lock;
    });
    (await service.acquire('another', NOW))[Symbol.dispose]();
    expect(order).toEqual([]);
    first[Symbol.dispose]();
    (await second)[Symbol.dispose]();
    (await third)[Symbol.dispose]();
    expect(order).toEqual(['second', 'third']);
  });

  it('refuses who waited for too long or was cancelled, and goes on', async () => {
    const service = await serve();
    const first = await service.acquire('ws', NOW);
    await expect(service.acquire('ws', { ...NOW, waitMs: 1 })).rejects.toMatchObject({
      code: 'LOCKED',
    });
    const abort = new AbortController();
    const waiting = service.acquire('ws', { ...PATIENT, signal: abort.signal });
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(() => service.acquireSync('ws', PATIENT)).toThrow(/at work here/);
    first[Symbol.dispose]();
    service.acquireSync('ws', NOW)[Symbol.dispose]();
  });
});

describe('what a holder is told', () => {
  it('is that nothing has changed, when it was the last one', async () => {
    const service = await serve();
    const take = (holder: number): boolean => {
      using lock = service.acquireSync('ws', { ...NOW, holder });
      return lock.isContinued;
    };
    expect([take(1), take(1), take(2), take(1), take(1)]).toEqual([
      false,
      true,
      false,
      false,
      true,
    ]);
  });

  it('is that the holder before left something unsettled, and then not that nothing has changed', async () => {
    const service = await serve();
    const first = service.acquireSync('ws', { ...NOW, holder: 1 });
    first.leaveUnsettled();
    first[Symbol.dispose]();
    using second = service.acquireSync('ws', { ...NOW, holder: 1 });
    expect([second.isInherited, second.isContinued]).toEqual([true, false]);
  });

  it('is that the service before died, for each name once', async () => {
    await kill(await holder('serve'));
    const service = await serve();
    const take = (name: string): boolean => {
      using lock = service.acquireSync(name, NOW);
      return lock.isInherited;
    };
    expect([take('a'), take('b'), take('a')]).toEqual([true, true, false]);
    // Nobody has looked at "c": the next service is told as well.
    service[Symbol.dispose]();
    const next = await serve();
    expect(next.isInherited).toBe(true);
    next.allLookedAt();
    using after = next.acquireSync('a', NOW);
    expect(after.isInherited).toBe(false);
  });

  it('is that a service died, for every command until another has looked at everything', async () => {
    await kill(await holder('serve'));
    const take = (): boolean => {
      using lock = commands.acquireSync('ws', NOW);
      return lock.isInherited;
    };
    expect([take(), take()]).toEqual([true, true]);
    const service = await serve();
    service.allLookedAt();
    service[Symbol.dispose]();
    expect(take()).toBe(false);
  });

  it('is that a command died with the workspace, to the service that comes', async () => {
    await kill(await holder('hold'));
    const service = await serve();
    using inherited = service.acquireSync('shared', NOW);
    expect(inherited.isInherited).toBe(true);
    using other = service.acquireSync('other', NOW);
    expect(other.isInherited).toBe(false);
  });

  it('is that something is unsettled, to whoever comes after a service that ended in order', async () => {
    const service = await serve();
    const lock = service.acquireSync('ws', NOW);
    lock.leaveUnsettled();
    lock[Symbol.dispose]();
    service[Symbol.dispose]();
    using next = commands.acquireSync('ws', NOW);
    expect(next.isInherited).toBe(true);
  });
});
