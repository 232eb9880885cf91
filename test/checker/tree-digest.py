#!/usr/bin/env python3
"""Prints one canonical line for each entry of a directory tree.

This is the independent witness of the tests: it shares no code with the product, not even the
language, so that a mistake in the product's own walk cannot hide itself. Two trees are the same
when their listings are the same bytes. Nothing is ever written, and symbolic links are never
followed.

Fields of a line, separated by tabs: path, type, mode, uid, gid, size, mtime in nanoseconds, the
first path of the hard link group with the number of its members, content (SHA-256, link target,
device number), extended attributes with POSIX ACLs, and the data ranges of sparse files where asked
for.
"""

import argparse
import errno
import hashlib
import os
import stat
import sys

CHUNK_BYTES = 1 << 20
TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "chardev",
    stat.S_IFBLK: "blockdev",
}


def escape(raw):
    """Printable ASCII stays, everything else becomes \\xHH: one reading, one line."""
    return "".join(
        chr(b) if 0x21 <= b < 0x7F and b != 0x5C else "\\x%02x" % b for b in raw
    )


def sha256_of(path, size):
    digest = hashlib.sha256()
    # O_NOFOLLOW: a file that turned into a link since lstat must not lead out of the tree.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        # A gap is hashed as the zeros it reads as, a hole map makes that quick for huge sparse files.
        offset = 0
        zeros = bytes(CHUNK_BYTES)
        while offset < size:
            try:
                start = os.lseek(fd, offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                start = size
            start = min(start, size)
            gap = start - offset
            if gap > (1 << 32):
                digest.update(b"gap:%d;" % gap)
                gap = 0
            while gap > 0:
                step = min(gap, CHUNK_BYTES)
                digest.update(zeros[:step])
                gap -= step
            offset = start
            if offset >= size:
                break
            os.lseek(fd, offset, os.SEEK_SET)
            end = min(os.lseek(fd, offset, os.SEEK_HOLE), size)
            os.lseek(fd, offset, os.SEEK_SET)
            while offset < end:
                piece = os.read(fd, min(CHUNK_BYTES, end - offset))
                if not piece:
                    raise OSError(errno.EIO, "file became shorter", path)
                digest.update(piece)
                offset += len(piece)
    finally:
        os.close(fd)
    return digest.hexdigest()


def data_ranges(path, size):
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    ranges = []
    try:
        offset = 0
        while offset < size:
            try:
                start = os.lseek(fd, offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                break
            offset = os.lseek(fd, start, os.SEEK_HOLE)
            ranges.append("%d-%d" % (start, offset))
    finally:
        os.close(fd)
    return ",".join(ranges)


def xattrs_of(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return ""
        raise
    pairs = []
    for name in sorted(names):
        value = os.getxattr(path, name, follow_symlinks=False)
        pairs.append("%s=%s" % (escape(os.fsencode(name)), value.hex()))
    return ";".join(pairs)


class Walk:
    def __init__(self, root, options):
        self.root = os.fsencode(root)
        self.options = options
        self.skipped = [os.fsencode(name) for name in options.skip]
        self.rows = []
        self.groups = {}

    def run(self):
        info = os.lstat(self.root)
        if not stat.S_ISDIR(info.st_mode):
            raise SystemExit("tree-digest.py: %r is not a directory." % self.root)
        self.device = info.st_dev
        self.visit(b"", info)
        for fields, key in self.rows:
            group = self.groups.get(key)
            links = "-"
            if group is not None and len(group) > 1:
                links = "%s*%d" % (escape(group[0]), len(group))
            fields[7] = "-" if self.options.no_links else links
            sys.stdout.write("\t".join(fields) + "\n")

    def visit(self, relative, info):
        # A stack of our own: the tree may be deeper than Python's recursion limit.
        stack = [(relative, info)]
        while stack:
            path, current = stack.pop()
            if self.is_boundary(path, current):
                if not self.options.skip_boundaries:
                    self.rows.append(([escape(path), "boundary"] + ["-"] * 9, None))
                continue
            self.describe(path, current)
            if stat.S_ISDIR(current.st_mode):
                children = self.children(path)
                stack.extend(reversed(children))

    def is_boundary(self, path, info):
        if path == b"" or not stat.S_ISDIR(info.st_mode):
            return False
        # 256 is the root of every btrfs subvolume, 2 the stub a snapshot leaves in its place.
        return info.st_dev != self.device or (
            self.options.btrfs and info.st_ino in (2, 256)
        )

    def children(self, path):
        result = []
        full = os.path.join(self.root, path) if path else self.root
        for name in sorted(os.listdir(full)):
            child = path + b"/" + name if path else name
            if child in self.skipped:
                continue
            info = os.lstat(os.path.join(self.root, child))
            if stat.S_ISSOCK(info.st_mode) and self.options.no_sockets:
                continue
            result.append((child, info))
        return result

    def describe(self, path, info):
        options = self.options
        full = os.path.join(self.root, path) if path else self.root
        kind = stat.S_IFMT(info.st_mode)
        content = "-"
        holes = "-"
        size = "-"
        key = None
        if kind == stat.S_IFREG:
            size = str(info.st_size)
            content = sha256_of(full, info.st_size)
            if options.holes:
                holes = data_ranges(full, info.st_size)
        elif kind == stat.S_IFLNK:
            content = escape(os.readlink(full))
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            content = "%d:%d" % (os.major(info.st_rdev), os.minor(info.st_rdev))
        if kind != stat.S_IFDIR:
            key = (info.st_dev, info.st_ino)
            self.groups.setdefault(key, []).append(path)
        is_hidden_time = options.no_mtime or (path == b"" and options.no_root_mtime)
        self.rows.append(
            (
                [
                    escape(path) or ".",
                    TYPES[kind],
                    "%04o" % stat.S_IMODE(info.st_mode),
                    "-" if options.no_owner else str(info.st_uid),
                    "-" if options.no_owner else str(info.st_gid),
                    size,
                    "-" if is_hidden_time else str(info.st_mtime_ns),
                    "-",
                    content,
                    "" if options.no_xattrs else xattrs_of(full),
                    holes,
                ],
                key,
            )
        )


def main():
    parser = argparse.ArgumentParser(description="Print a canonical listing of a tree.")
    parser.add_argument("root")
    parser.add_argument("--holes", action="store_true", help="print data ranges")
    parser.add_argument("--btrfs", action="store_true", help="stop at nested subvolumes")
    parser.add_argument("--skip-boundaries", action="store_true")
    parser.add_argument("--no-mtime", action="store_true")
    parser.add_argument("--no-root-mtime", action="store_true")
    parser.add_argument("--no-owner", action="store_true")
    parser.add_argument("--no-xattrs", action="store_true")
    parser.add_argument("--no-links", action="store_true")
    parser.add_argument("--no-sockets", action="store_true")
    parser.add_argument("--skip", action="append", default=[], help="relative path to skip")
    options = parser.parse_args()
    Walk(options.root, options).run()


if __name__ == "__main__":
    main()
