/**
 * A directory with one of everything that a rollback must give back, also for a plain user.
 *
 * Node's own fs and the usual command line tools make it, `cp -a` copies it aside: so neither what a
 * test starts from nor what it compares with has been through the code under test.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** Root gives other owners, devices and capabilities as well. */
export type Maker = 'root' | 'plain';

type At = (path: string) => string;

/** Names that broke other programs. */
const HOSTILE_NAMES: readonly string[] = [
  '-rf',
  'new\nline',
  '\xff\xfe',
  ' ',
  'back\\slash',
  '*',
  'x'.repeat(255),
  '\xe2\x80\xae',
  'quote\'"',
];

export function run(tool: string, ...args: readonly string[]): string {
  return execFileSync(tool, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Makes `root` and fills it. */
export function makeSampleTree(root: string, maker: Maker = 'root'): void {
  mkdirSync(root, { mode: 0o755 });
  const at = (path: string): string => join(root, path);
  mkdirSync(at('src/deep/er'), { recursive: true });
  mkdirSync(at('empty'));
  mkdirSync(at('names'));
  writeFileSync(at('src/main.c'), 'int main(void) { return 0; }\n');
  writeFileSync(at('src/deep/er/one'), 'one\n');
  writeFileSync(at('src/big'), Buffer.alloc(300_000, 'big '));
  writeFileSync(at('.env'), 'SECRET=1\n', { mode: 0o600 });
  writeFileSync(at('zero'), '');
  for (const name of HOSTILE_NAMES) {
    writeFileSync(Buffer.from(`${at('names')}/${name}`, 'latin1'), `named ${name}`);
  }
  makeLinks(at);
  makeSparse(at('sparse'));
  run('mkfifo', '-m', '640', at('fifo'));
  giveAttributes(at);
  if (maker === 'root') giveOwners(at);
  makeReadOnlyDirectory(at);
  utimesSync(at('src/main.c'), 1_000_000_000.25, 1_000_000_000.123_456);
  utimesSync(at('empty'), 5, 5);
}

function makeLinks(at: At): void {
  symlinkSync('src/main.c', at('to-file'));
  symlinkSync('src', at('to-dir'));
  symlinkSync('/nowhere/at/all', at('dangling'));
  symlinkSync(Buffer.from('\xff\n', 'latin1'), at('odd-target'));
  writeFileSync(at('group-1'), 'shared by three');
  linkSync(at('group-1'), at('group-2'));
  linkSync(at('group-1'), at('src/group-3'));
  writeFileSync(at('pair-1'), 'shared by two');
  linkSync(at('pair-1'), at('pair-2'));
}

function makeSparse(path: string): void {
  const fd = openSync(path, 'w');
  try {
    writeSync(fd, 'start', 0);
    writeSync(fd, 'middle', 3 * 2 ** 20);
    ftruncateSync(fd, 8 * 2 ** 20);
  } finally {
    closeSync(fd);
  }
}

function giveAttributes(at: At): void {
  writeFileSync(at('tagged'), 'with attributes');
  run('setfattr', '-n', 'user.tag', '-v', 'value', at('tagged'));
  run('setfattr', '-n', 'user.empty', at('tagged'));
  run('setfattr', '-n', 'user.dir', '-v', 'on a directory', at('empty'));
  writeFileSync(at('acl'), 'with an ACL');
  run('setfacl', '-m', 'u:1234:rw,g:4321:r', at('acl'));
  mkdirSync(at('acl-dir'));
  run('setfacl', '-d', '-m', 'u:1234:rwx', at('acl-dir'));
  // Made below a default ACL: it inherits one, and a file made again must not get another.
  writeFileSync(at('acl-dir/child'), 'child');
  run('setfacl', '-b', at('acl-dir/child'));
  chmodSync(at('acl-dir/child'), 0o604);
  writeFileSync(at('setuid'), '#!/bin/true\n');
  chmodSync(at('setuid'), 0o4755);
  mkdirSync(at('setgid-dir'));
  chmodSync(at('setgid-dir'), 0o2775);
  mkdirSync(at('sticky'));
  chmodSync(at('sticky'), 0o1777);
}

function giveOwners(at: At): void {
  writeFileSync(at('owned'), 'by others');
  chownSync(at('owned'), 1234, 4321);
  chmodSync(at('owned'), 0o6711);
  chownSync(at('setgid-dir'), 0, 4321);
  chmodSync(at('setgid-dir'), 0o2775);
  // The kernel gives it the directory's group; the tree has another one.
  writeFileSync(at('setgid-dir/other-group'), 'x');
  chownSync(at('setgid-dir/other-group'), 7, 8);
  run('mknod', '-m', '600', at('device'), 'c', '1', '3');
  run('setfattr', '-n', 'trusted.secret', '-v', 'root only', at('tagged'));
  // cap_net_raw, permitted and effective, as the kernel keeps it.
  const capability = '0x0100000200200000000000000000000000000000';
  run('setfattr', '-n', 'security.capability', '-v', capability, at('setuid'));
}

function makeReadOnlyDirectory(at: At): void {
  mkdirSync(at('read-only/inner'), { recursive: true });
  writeFileSync(at('read-only/inner/file'), 'protected', { mode: 0o444 });
  chmodSync(at('read-only/inner'), 0o555);
  chmodSync(at('read-only'), 0o555);
}

/** An independent copy with everything but atimes and inode flags. `to` must not exist. */
export function copyAside(from: string, to: string): void {
  run('cp', '-a', '--reflink=auto', '--sparse=auto', from, to);
}
