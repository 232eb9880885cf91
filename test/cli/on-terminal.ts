/** Runs the command line on a real terminal, given by Python's pty, and types when asked. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Protected } from '../never/protected-workspace.ts';

/** Types each answer when its prompt is seen; prints what the program showed last and its status. */
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
status = os.waitstatus_to_exitcode(status)
sys.stdout.write(json.dumps({'status': status, 'shown': seen.decode(errors='replace')}))
`;

const START = join(import.meta.dirname, 'start-from-source.ts');

/** What is waited for, and what is typed once it is seen. */
export type Typed = readonly (readonly [string, string])[];

export interface Shown {
  readonly status: number;
  /** What was shown after the last prompt. */
  readonly shown: string;
}

/** One program on one terminal at a time. */
export class Terminal implements Disposable {
  #child: ChildProcess | null = null;

  async run(one: Protected, args: readonly string[], script: Typed): Promise<Shown> {
    const argv = [process.execPath, START, ...args];
    const child = spawn('python3', ['-c', DRIVER, JSON.stringify(argv), JSON.stringify(script)], {
      ...{ cwd: one.path, env: { ...process.env, ...one.environment.env, TERM: 'xterm' } },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    await once(child, 'close');
    return JSON.parse(text) as Shown;
  }

  /** One that waits for what never comes would keep the runner from ending; the program ends with it. */
  [Symbol.dispose](): void {
    this.#child?.kill('SIGKILL');
  }
}
