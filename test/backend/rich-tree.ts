/**
 * Trees with everything that a tree can hold, made and wrecked by Python.
 *
 * Python's os module takes bytes for names and knows every call that is needed, and it shares
 * nothing with the code under test. Needs root.
 */
import { execFileSync } from 'node:child_process';

/** Runs a script with `root` bound to the directory as bytes. */
export function python(script: string, root: string): string {
  const head = 'import os, sys, stat, socket, subprocess\nroot = os.fsencode(sys.argv[1])\n';
  const head2 = 'p = lambda *n: os.path.join(root, *n)\n';
  const text = head + head2 + WRITE + script;
  return execFileSync('/usr/bin/python3', ['-c', text, root], { encoding: 'utf8' });
}

const WRITE = `
# O_NONBLOCK: a FIFO that stands at the path is an error, where it would wait for a reader for ever.
def nonblocking(path, flags): return os.open(path, flags | os.O_NONBLOCK, 0o666)
def write(path, data, mode=0o644):
    with open(path, 'wb', opener=nonblocking) as f: f.write(data)
    os.chmod(path, mode)
`;

/** Every kind of entry; hostile names; owners, modes, xattrs, ACLs, holes, links, odd times. */
export function makeRichTree(root: string): void {
  python(
    `
os.makedirs(p(b'src', b'deep', b'er'))
write(p(b'src', b'main.ts'), b'export {}\\n')
write(p(b'src', b'deep', b'large'), os.urandom(300000))
write(p(b'src', b'deep', b'er', b'x'), b'x', 0o600)
os.makedirs(p(b'empty')); os.chmod(p(b'empty'), 0o1777)
os.makedirs(p(b'closed')); write(p(b'closed', b'in'), b'in'); os.chmod(p(b'closed'), 0o555)
write(p(b'setuid'), b'#!', 0o6755)
os.chown(p(b'setuid'), 1234, 2345)
os.chmod(p(b'setuid'), 0o6755)
write(p(b'.env'), b'SECRET=1', 0o400)
write(p(b'not-utf8-\\xff\\xfe'), b'raw')
write(p(b'new\\nline'), b'n')
write(p(b'-rf'), b'-')
write(p(b' '), b's')
write(p(b'n' * 255), b'255')
os.makedirs(p(b'\\xff' * 255)); write(p(b'\\xff' * 255, b'a'), b'a')
write(p(b'link-a'), b'linked')
os.link(p(b'link-a'), p(b'src', b'link-b'))
os.link(p(b'link-a'), p(b'zlink'))
os.symlink(b'/etc/passwd', p(b'abs'))
os.symlink(b'../nowhere\\xff', p(b'dangling'))
os.symlink(b'src', p(b'to-dir'))
os.lchown(p(b'abs'), 77, 78)
os.link(p(b'abs'), p(b'abs-too'), follow_symlinks=False)
os.mkfifo(p(b'fifo'), 0o640)
os.mknod(p(b'null'), stat.S_IFCHR | 0o666, os.makedev(1, 3))
with open(p(b'sparse'), 'wb') as f:
    f.truncate(9000000)
    f.seek(4000000)
    f.write(b'middle' * 1000)
    f.truncate(20000000)
write(p(b'attrs'), b'x')
os.setxattr(p(b'attrs'), b'user.key', b'v\\0\\xff')
os.setxattr(p(b'attrs'), b'user.empty', b'')
os.setxattr(p(b'attrs'), b'trusted.t', b'1'); os.setxattr(p(b'src'), b'user.dir', b'd')
subprocess.check_call([b'setfacl', b'-m', b'u:1234:rwx,g:2345:r', p(b'attrs')])
subprocess.check_call([b'setfacl', b'-d', b'-m', b'u:1234:rwx', p(b'src', b'deep')])
write(p(b'src', b'deep', b'inherits'), b'acl')
write(p(b'src', b'deep', b'bare'), b'no acl')
subprocess.check_call([b'setfacl', b'-b', p(b'src', b'deep', b'bare')])
write(p(b'old'), b'o'); os.utime(p(b'old'), ns=(0, -123456789)); write(p(b'y2040'), b'f')
os.utime(p(b'y2040'), ns=(0, 2208988800000000001))
os.utime(p(b'abs'), ns=(0, 987654321), follow_symlinks=False)
os.utime(p(b'empty'), ns=(0, 1111111111111111111))
os.chmod(root, 0o751)
os.utime(root, ns=(0, 5555555555))
`,
    root,
  );
}

/** Damage of every kind to a rich tree. */
export function wreckRichTree(root: string): void {
  python(
    `
import shutil
shutil.rmtree(p(b'src', b'deep'))
write(p(b'src', b'main.ts'), b'export !\\n')
os.rmdir(p(b'empty')); write(p(b'empty'), b'now a file')
os.chmod(p(b'setuid'), 0o600); os.chown(p(b'setuid'), 0, 0)
os.unlink(p(b'.env')); os.mkdir(p(b'.env')); write(p(b'.env', b'inside'), b'i')
os.unlink(p(b'link-a')); write(p(b'link-a'), b'linked')
os.unlink(p(b'abs')); os.symlink(b'/tmp', p(b'abs'))
os.unlink(p(b'to-dir')); os.mkdir(p(b'to-dir')); os.unlink(p(b'fifo')); write(p(b'fifo'), b'')
os.unlink(p(b'null'))
with open(p(b'sparse'), 'r+b') as f: f.write(b'no hole')
os.removexattr(p(b'attrs'), b'user.key'); os.setxattr(p(b'attrs'), b'user.more', b'm')
subprocess.check_call([b'setfacl', b'-b', p(b'attrs')])
subprocess.check_call([b'setfacl', b'-m', b'u:99:r', p(b'old')])
os.rename(p(b'not-utf8-\\xff\\xfe'), p(b'renamed')); os.unlink(p(b'new\\nline'))
os.utime(p(b'y2040'), ns=(0, 1)); write(p(b'extra'), b'e'); os.makedirs(p(b'added', b'dir'))
write(p(b'added', b'dir', b'f'), b'f'); os.link(p(b'old'), p(b'added', b'hard'))
os.chmod(root, 0o700); os.removexattr(p(b'src'), b'user.dir')
`,
    root,
  );
}
