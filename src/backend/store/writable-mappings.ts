/**
 * Files of a workspace that somebody has mapped shared and writable right now.
 *
 * A store through such a mapping is no system call: no event tells of it, and only the first one after a
 * flush moves ctime. So a watching engine looks at them in every snapshot, and a capture flushes before it
 * reads. On tmpfs there is nothing to flush: a mapped file has no evidence there, now or the next time.
 * Only the maps of processes that this user may inspect can be read; as root, of all.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { RawPath } from '../../core/raw-path.ts';
import { errnoOf } from '../syscall-failure.ts';

const GONE_OR_FOREIGN = new Set(['ENOENT', 'EACCES', 'EPERM', 'ESRCH']);
const SHARED_WRITABLE = /^\S+ .w.s /;

/** Their paths below the root. `rootPath` is raw, as the kernel shows it. */
export function filesWithSharedMappings(rootPath: string): Set<RawPath> {
  const found = new Set<RawPath>();
  const prefix = Buffer.from(`${rootPath === '/' ? '' : rootPath}/`, 'latin1');
  for (const pid of readdirSync('/proc')) {
    if (!/^[0-9]/.test(pid)) continue;
    const maps = tryReadMaps(pid);
    if (maps !== null) collect(maps, prefix, found);
  }
  return found;
}

function tryReadMaps(pid: string): Buffer | null {
  try {
    return readFileSync(`/proc/${pid}/maps`);
  } catch (error) {
    if (GONE_OR_FOREIGN.has(errnoOf(error))) return null;
    throw error;
  }
}

function collect(maps: Buffer, prefix: Buffer, found: Set<RawPath>): void {
  for (let at = maps.indexOf(prefix); at >= 0; at = maps.indexOf(prefix, at + 1)) {
    const start = maps.lastIndexOf(0x0a, at) + 1;
    const end = maps.indexOf(0x0a, at);
    const line = maps.toString('latin1', start, end < 0 ? maps.length : end);
    if (!SHARED_WRITABLE.test(line)) continue;
    const path = line.slice(at - start + prefix.length).replace(/\\012/g, '\n');
    found.add(path.replace(/ \(deleted\)$/, '') as RawPath);
  }
}
