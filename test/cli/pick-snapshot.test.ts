/** Choosing on a real terminal, given by Python's pty; and the error where there is none. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Protected, protect } from '../never/protected-workspace.ts';

let one: Protected;
let terminal: ChildProcess | null = null;

beforeEach(async () => {
  one = await protect({ kind: 'store', before: 'echo a > a' });
  one.cli(['snap', '-l', 'tests green']);
  one.cli(['snap', '-l', 'something else']);
  rmSync(join(one.path, 'a'));
});

afterEach(async () => {
  // One that waits for what never comes would keep the runner from ending; the program ends with it.
  terminal?.kill('SIGKILL');
  await one[Symbol.asyncDispose]();
});

/** Types each answer when its prompt is seen; prints what the program showed and its status. */
const DRIVER = `
import fcntl, json, os, pty, struct, sys, termios
argv, script = json.loads(sys.argv[1]), json.loads(sys.argv[2])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(argv[0], argv)
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 40, 120, 0, 0))
seen = b''
for wanted, typed in script:
    while wanted.encode() not in seen:
        seen += os.read(fd, 65536)
    # What follows is kept: the next prompt may have come with this one.
    seen = seen.split(wanted.encode(), 1)[1]
    for key in typed:
        os.write(fd, key.encode())
try:
    while True:
        data = os.read(fd, 65536)
        if not data: break
        seen += data
except OSError:
    pass
_, status = os.waitpid(pid, 0)
sys.stdout.write(str(os.waitstatus_to_exitcode(status)))
`;

async function onTerminal(script: readonly (readonly [string, string])[]): Promise<string> {
  const start = join(import.meta.dirname, 'start-from-source.ts');
  const argv = [process.execPath, start, 'rollback'];
  const child = spawn('python3', ['-c', DRIVER, JSON.stringify(argv), JSON.stringify(script)], {
    ...{ cwd: one.path, env: { ...process.env, ...one.environment.env, TERM: 'xterm' } },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  terminal = child;
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  await once(child, 'close');
  return text;
}

it('rollback without a name lets one be searched, shows what it would change, and goes', async () => {
  const status = await onTerminal([
    ['Type to search', 'green\r'],
    ['Go back to it?', 'd'],
    ['create', ''],
    ['Go back to it?', 'g'],
  ]);
  expect(status).toBe('0');
  expect(existsSync(join(one.path, 'a'))).toBe(true);
});

it.each(['\u001b', '\u0003'])('changes nothing when it is left by %j', async (key) => {
  expect(await onTerminal([['Type to search', key]])).toBe('64');
  expect(existsSync(join(one.path, 'a'))).toBe(false);
});

it('says which there are where nobody can choose', () => {
  writeFileSync(join(one.path, 'b'), 'b');
  const { status, stderr } = one.cli(['rollback']);
  expect(status).toBe(64);
  expect(stderr).toContain('tests green  ghost_');
  expect(existsSync(join(one.path, 'b'))).toBe(true);
});
