#!/usr/bin/env python3
"""A witness that stays: edits a tree as programs do, and lists trees, for a prover that asks often.

It reads one JSON request a line and answers with one line. It shares no code with the product:
edits are system calls, a btrfs snapshot is a directory that it walks, a store's snapshot is decoded
by store_reader.py from what SPEC.md says. Listings have the lines of tree-digest.py.

Asked again, it looks at every entry again, but reads a file again only when its inode has another
ctime, which nothing but the kernel can set; what is mapped writable is always read, and now and
then everything is.

Requests: {"run": [operation...], "root": dir, "list": {name: where}, "lines": bool}. `where` is
{"dir": path} or {"store": pool, "workspace": id, "snapshot": id}. Texts of bytes are latin-1.
Answer: {"entries": [[path, mode, uid, gid, mtime, acls]...], "trees": {name: sha256 or lines}},
or {"error"}.
"""

import ctypes
import hashlib
import importlib.util
import json
import mmap
import os
import stat
import sys

from store_reader import StoreReader

REFRESH_EVERY = 256

FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2
RENAME_EXCHANGE = 2
AT_FDCWD = -100

libc = ctypes.CDLL(None, use_errno=True)


def load_digest():
    here = os.path.dirname(os.path.abspath(__file__))
    spec = importlib.util.spec_from_file_location(
        "tree_digest", os.path.join(here, "tree-digest.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


digest = load_digest()


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


class Actor:
    """Edits the live tree. Mappings that are held stay writable until they are let go."""

    def __init__(self):
        self.held = {}

    def run(self, root, operations):
        for operation in operations:
            path = self.at(root, operation["path"])
            getattr(self, "do_" + operation["op"].replace("-", "_"))(path, operation, root)

    def at(self, root, text):
        raw = text.encode("latin-1")
        return root + b"/" + raw if raw else root

    def do_write(self, path, operation, _root):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(fd, operation["content"].encode("latin-1"))
        os.close(fd)

    def do_overwrite_quietly(self, path, operation, _root):
        fd = os.open(path, os.O_RDWR)
        before = os.fstat(fd)
        os.pwrite(fd, operation["content"].encode("latin-1"), operation["offset"])
        os.close(fd)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def do_append(self, path, operation, _root):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(fd, operation["content"].encode("latin-1"))
        os.close(fd)

    def do_truncate(self, path, operation, _root):
        os.truncate(path, operation["sizeBytes"])

    def do_rename(self, path, operation, root):
        os.rename(path, self.at(root, operation["to"]))

    def do_exchange(self, path, operation, root):
        to = self.at(root, operation["to"])
        check(
            libc.renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_EXCHANGE), "exchange"
        )

    def do_link(self, path, operation, root):
        os.link(path, self.at(root, operation["to"]), follow_symlinks=False)

    def do_symlink(self, path, operation, _root):
        os.symlink(operation["target"].encode("latin-1"), path)

    def do_mkdir(self, path, _operation, _root):
        os.mkdir(path, 0o755)

    def do_fifo(self, path, _operation, _root):
        os.mkfifo(path, 0o644)

    def do_remove(self, path, _operation, _root):
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
            return
        for folder, directories, files in os.walk(path, topdown=False):
            for name in files:
                os.unlink(os.path.join(folder, name))
            for name in directories:
                child = os.path.join(folder, name)
                os.unlink(child) if os.path.islink(child) else os.rmdir(child)
        os.rmdir(path)

    def do_chmod(self, path, operation, _root):
        os.chmod(path, operation["mode"])

    def do_chown(self, path, operation, _root):
        os.chown(path, operation["uid"], operation["gid"], follow_symlinks=False)

    def do_utimes(self, path, operation, _root):
        now = int(operation["mtimeNs"])
        os.utime(path, ns=(now, now), follow_symlinks=False)

    def do_set_xattr(self, path, operation, _root):
        value = operation["value"].encode("latin-1")
        os.setxattr(path, operation["name"], value, follow_symlinks=False)

    def do_remove_xattr(self, path, operation, _root):
        os.removexattr(path, operation["name"], follow_symlinks=False)

    def do_punch(self, path, operation, _root):
        fd = os.open(path, os.O_RDWR)
        mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
        where = ctypes.c_long(operation["offset"]), ctypes.c_long(operation["length"])
        check(libc.fallocate(fd, mode, *where), "punch")
        os.close(fd)

    def do_map_write(self, path, operation, _root):
        fd = os.open(path, os.O_RDWR)
        with mmap.mmap(fd, 0) as mapping:
            self.store(mapping, operation)
        os.close(fd)

    def do_hold(self, path, operation, _root):
        fd = os.open(path, os.O_RDWR)
        mapping = mmap.mmap(fd, 0)
        # Written once now, so that the page is dirty and writable when the next store comes.
        mapping[0:1] = mapping[0:1]
        self.held[operation["key"]] = (mapping, os.fstat(fd).st_ino)
        os.close(fd)

    def do_store_held(self, _path, operation, _root):
        self.store(self.held[operation["key"]][0], operation)

    def do_let_go(self, _path, operation, _root):
        self.held.pop(operation["key"])[0].close()

    def store(self, mapping, operation):
        content = operation["content"].encode("latin-1")
        offset = operation["offset"]
        mapping[offset : offset + len(content)] = content


class Lister:
    """Lists directories. What it knows of an inode holds for one ctime of that inode."""

    def __init__(self, actor):
        self.actor = actor
        self.known = {}
        self.asked = 0

    def refresh(self):
        self.asked += 1
        if self.asked % REFRESH_EVERY == 0:
            self.known.clear()

    def lines(self, root):
        held = {ino for _, ino in self.actor.held.values()}
        rows = []
        groups = {}
        stack = [(b"", os.lstat(root))]
        while stack:
            path, info = stack.pop()
            full = root + b"/" + path if path else root
            key = None
            if not stat.S_ISDIR(info.st_mode):
                key = (info.st_dev, info.st_ino)
                if info.st_nlink > 1:
                    groups.setdefault(key, []).append(path)
            rows.append((path, self.describe(full, info, held), key))
            if stat.S_ISDIR(info.st_mode):
                prefix = path + b"/" if path else b""
                for name in sorted(os.listdir(full), reverse=True):
                    child = prefix + name
                    stack.append((child, os.lstat(root + b"/" + child)))
        return render(rows, groups)

    def describe(self, full, info, held):
        key = (info.st_dev, info.st_ino)
        stamp = (info.st_ctime_ns, info.st_mtime_ns, info.st_size, info.st_mode)
        known = self.known.get(key)
        if known is not None and known[0] == stamp and info.st_ino not in held:
            return known[1]
        kind = stat.S_IFMT(info.st_mode)
        size = content = "-"
        if kind == stat.S_IFREG:
            size = str(info.st_size)
            content = digest.sha256_of(full, info.st_size)
        elif kind == stat.S_IFLNK:
            content = digest.escape(os.readlink(full))
        fields = (
            digest.TYPES[kind],
            "%04o" % stat.S_IMODE(info.st_mode),
            str(info.st_uid),
            str(info.st_gid),
            size,
            str(info.st_mtime_ns),
        )
        # XFS shows root a second face of each access control list.
        xattrs = digest.xattrs_of(full).split(";")
        told = ";".join(x for x in xattrs if not x.startswith("trusted.SGI_ACL_"))
        line = ("\t".join(fields), content + "\t" + told + "\t-")
        if info.st_ino in held:
            self.known.pop(key, None)
        else:
            self.known[key] = (stamp, line)
        return line

    def entries(self, root):
        """What the kernel decides about every entry: mode, owner, mtime, access control lists."""
        found = []
        held = {ino for _, ino in self.actor.held.values()}
        stack = [(b"", root)]
        while stack:
            path, full = stack.pop()
            info = os.lstat(full)
            line = self.describe(full, info, held)[1] if path else None
            acls = self.acls(full) if line is None or "posix_acl" in line else {}
            row = [path.decode("latin-1"), stat.S_IMODE(info.st_mode), info.st_uid]
            found.append(row + [info.st_gid, str(info.st_mtime_ns), acls])
            if stat.S_ISDIR(info.st_mode):
                prefix = path + b"/" if path else b""
                for name in os.listdir(full):
                    stack.append((prefix + name, full + b"/" + name))
        return found

    def acls(self, full):
        acls = {}
        for name in os.listxattr(full, follow_symlinks=False):
            if name.startswith("system.posix_acl_"):
                value = os.getxattr(full, name, follow_symlinks=False)
                acls[name] = value.decode("latin-1")
        return acls


def render(rows, groups):
    lines = []
    for path, (head, tail), key in rows:
        group = groups.get(key)
        links = "-"
        if group is not None and len(group) > 1:
            links = "%s*%d" % (digest.escape(group[0]), len(group))
        lines.append("\t".join((digest.escape(path) or ".", head, links, tail)))
    return lines


class Witness:
    def __init__(self):
        self.actor = Actor()
        self.lister = Lister(self.actor)
        self.stores = {}

    def answer(self, request):
        root = request.get("root", "").encode("latin-1")
        answer = {}
        if "run" in request:
            self.actor.run(root, request["run"])
            answer["entries"] = self.lister.entries(root)
        self.lister.refresh()
        trees = {}
        for name, where in request.get("list", {}).items():
            lines = self.lines(where)
            text = "".join(line + "\n" for line in lines)
            whole = request.get("lines", False)
            trees[name] = lines if whole else hashlib.sha256(text.encode()).hexdigest()
        answer["trees"] = trees
        return answer

    def lines(self, where):
        if "dir" in where:
            return self.lister.lines(where["dir"].encode("latin-1"))
        pool = where["store"]
        store = self.stores.get(pool)
        if store is None:
            self.stores.clear()
            store = self.stores[pool] = StoreReader(pool, digest)
        rows, groups = store.read(where["workspace"], where["snapshot"])
        return render(rows, groups)


def main():
    witness = Witness()
    for line in sys.stdin:
        try:
            answer = witness.answer(json.loads(line))
        except Exception as error:  # whatever it is, the prover must hear of it
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
