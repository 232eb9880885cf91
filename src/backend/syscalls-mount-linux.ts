/** mount(2) and umount2(2). Rules as in syscalls-linux.ts, but paths are text. */
import { rawFromText } from '../core/raw-path.ts';
import { check } from './checked-call.ts';
import { libc } from './libc-linux.ts';

const c = {
  mount: libc.func(
    'int mount(const void *source, const void *target, const void *type, unsigned long flags, const void *data)',
  ),
  umount2: libc.func('int umount2(const void *target, int flags)'),
};

export const MS_BIND = 4096;
export const MS_NOATIME = 1024;
export const MNT_DETACH = 2;

export interface MountRequest {
  readonly source: string;
  readonly target: string;
  /** '' for a bind mount. */
  readonly type: string;
  readonly flags: number;
  readonly data: string;
}

export function mountFs(request: MountRequest): void {
  const source = Buffer.from(`${request.source}\0`);
  const target = Buffer.from(`${request.target}\0`);
  const type = Buffer.from(`${request.type}\0`);
  const data = Buffer.from(`${request.data}\0`);
  const call = () => c.mount(source, target, type, request.flags, data);
  check(call, 'mount', rawFromText(request.target));
}

export function unmountFs(target: string, flags = 0): void {
  const path = Buffer.from(`${target}\0`);
  check(() => c.umount2(path, flags), 'umount2', rawFromText(target));
}
