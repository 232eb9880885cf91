/** inotify(7). Rules as in syscalls-linux.ts. */
import { check, pathScratchA, writePath } from './checked-call.ts';
import { libc } from './libc-linux.ts';

const c = {
  inotifyInit1: libc.func('int inotify_init1(int flags)'),
  inotifyAddWatch: libc.func('int inotify_add_watch(int fd, const void *path, unsigned int mask)'),
  inotifyRmWatch: libc.func('int inotify_rm_watch(int fd, int watch)'),
};

const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;

/** A non-blocking inotify descriptor; read it with fs.readSync until EAGAIN. */
export function inotifyOpen(): number {
  return check(() => c.inotifyInit1(IN_NONBLOCK | IN_CLOEXEC), 'inotify_init1', '');
}

export function inotifyWatch(fd: number, path: string, mask: number): number {
  const raw = writePath(pathScratchA, path);
  return check(() => c.inotifyAddWatch(fd, raw, mask), 'inotify_add_watch', path);
}

export function inotifyUnwatch(fd: number, watch: number): void {
  check(() => c.inotifyRmWatch(fd, watch), 'inotify_rm_watch', `watch ${watch}`);
}
