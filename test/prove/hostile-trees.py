#!/usr/bin/env python3
"""Builds trees that nobody would think of: `hostile-trees.py KIND ROOT COUNT`.

Shares no code with the product. COUNT is the number of entries, levels or links. Everything is made
by descriptors, so that no path is ever longer than a name.
"""

import os
import sys

TERABYTE = 1 << 40


def write(name, content, at):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644, dir_fd=at)
    os.write(fd, content)
    os.close(fd)


def every_byte(root, _count):
    """Each byte that a name may hold, alone, at the end of a text, and before another."""
    for byte in range(1, 256):
        if byte == 0x2F:
            continue
        one = bytes([byte])
        name = b"dot" if one == b"." else one
        os.mkdir(b"d" + one, 0o755, dir_fd=root)
        at = os.open(b"d" + one, os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
        write(name, b"alone " + one, at)
        write(b"name" + one, b"last " + one, at)
        write(one + b"\xff\xfe name", b"first " + one, at)
        os.symlink(one + b"/../" + one, b"link" + one, dir_fd=at)
        os.close(at)
    write(b"x" * 255, b"the longest", root)


def deep(root, count):
    at = os.dup(root)
    for level in range(count):
        os.mkdir(b"d", 0o755, dir_fd=at)
        below = os.open(b"d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
        if level % 100 == 99:
            write(b"f", b"level %d" % level, at)
    write(b"f", b"the bottom", at)
    os.close(at)


def wide(root, count):
    os.mkdir(b"w", 0o755, dir_fd=root)
    at = os.open(b"w", os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)
    for entry in range(count):
        # Most are empty: it is the entries that are many, not the bytes.
        write(b"%07d" % entry, b"" if entry % 16 else b"%d" % entry, at)
    os.close(at)


def links(root, count):
    """Files with very many names each, across directories."""
    places = []
    for number in range(16):
        name = b"p%d" % number
        os.mkdir(name, 0o755, dir_fd=root)
        places.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=root))
    for group in range(8):
        write(b"g%d-0" % group, b"group %d" % group, places[0])
        for link in range(1, count // 8):
            os.link(
                b"g%d-0" % group,
                b"g%d-%d" % (group, link),
                src_dir_fd=places[0],
                dst_dir_fd=places[link % len(places)],
            )


def sparse(root, _count):
    for number, size in enumerate((TERABYTE, 4 * TERABYTE - 1, TERABYTE + 4095)):
        fd = os.open(b"s%d" % number, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=root)
        os.ftruncate(fd, size)
        for offset in (0, 1 << 33, size - 7):
            os.pwrite(fd, b"data %d" % number, offset)
        os.close(fd)


KINDS = {"every-byte": every_byte, "deep": deep, "wide": wide, "links": links, "sparse": sparse}

if __name__ == "__main__":
    kind, where, count = sys.argv[1:4]
    KINDS[kind](os.open(where, os.O_RDONLY | os.O_DIRECTORY), int(count))
