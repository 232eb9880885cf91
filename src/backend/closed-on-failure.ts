/** A descriptor that was just opened and has no owner yet: what is done with it first may fail. */
import { closeFd } from './syscalls-linux.ts';

/** What `use` gives; when it throws, nobody will ever close `fd`, so it is closed here. */
export function closedOnFailure<T>(fd: number, use: () => T): T {
  try {
    return use();
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}
