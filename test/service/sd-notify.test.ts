/** A real datagram socket hears what systemd would; Node has none, so Python listens. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { SystemdNotifier, watchdogIntervalMs } from '../../src/daemon/sd-notify-linux.ts';

const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
s.bind('\\0' + name[1:] if name.startswith('@') else name)
print('listening', flush=True)
for _ in range(2): print(repr(s.recv(4096)), flush=True)
`;

async function hear(address: string): Promise<string[]> {
  const listener = spawn('python3', ['-c', LISTENER, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const notifier = new SystemdNotifier(address);
  try {
    for await (const line of createInterface(listener.stdout)) {
      lines.push(line);
      if (line !== 'listening') continue;
      expect(notifier.notify('READY=1', 'STATUS=serving')).toBe(true);
      expect(notifier.notify('WATCHDOG=1')).toBe(true);
    }
    return lines;
  } finally {
    listener.kill();
  }
}

const HEARD = ['listening', "b'READY=1\\nSTATUS=serving'", "b'WATCHDOG=1'"];

it('reaches a socket in the file system and an abstract one', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ghostsnap-notify-'));
  try {
    expect(await hear(join(directory, 'notify'))).toEqual(HEARD);
    expect(await hear(`@ghostsnap-notify-${process.pid}`)).toEqual(HEARD);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

it('says nothing where nobody listens, and fails nobody', () => {
  expect(new SystemdNotifier(undefined).notify('READY=1')).toBe(false);
  expect(new SystemdNotifier('relative').notify('READY=1')).toBe(false);
  expect(new SystemdNotifier('/nowhere/at/all').notify('READY=1')).toBe(false);
});

it('feeds the watchdog twice in its time, and only its own', () => {
  expect(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 7)).toBe(15_000);
  expect(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, 7)).toBeNull();
  expect(watchdogIntervalMs({}, 7)).toBeNull();
});
