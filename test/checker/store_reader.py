"""Reads a snapshot of a store from its files, by SPEC.md alone.

Written from the document and not from the product, so that a mistake must be made twice to hide.
Every check that the document allows is made: magic, version, checksum, the name of each object
against its bytes, CRCs, the order of names. zstd comes from the system's library.
"""

import ctypes
import ctypes.util
import hashlib
import os
import struct
import zlib

TYPES = ("file", "dir", "symlink", "fifo", "socket", "chardev", "blockdev", "subvolume", "mount")
HAS_LINKS, HAS_FLAGS, HAS_XATTRS, HAS_BLOB, HAS_CLONE = 1, 2, 4, 8, 16
RAW_FLAG = 0x80000000

zstd = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
zstd.ZSTD_decompress.restype = ctypes.c_size_t
zstd.ZSTD_isError.argtypes = [ctypes.c_size_t]


class Damaged(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Damaged(what)


def decompress(data, length):
    target = ctypes.create_string_buffer(length)
    done = zstd.ZSTD_decompress(target, ctypes.c_size_t(length), data, ctypes.c_size_t(len(data)))
    need(not zstd.ZSTD_isError(done) and done == length, "zstd")
    return target.raw


class Bytes:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        need(self.at + count <= len(self.data), "the file ends too early")
        piece = self.data[self.at : self.at + count]
        self.at += count
        return piece

    def u8(self):
        return self.take(1)[0]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def varuint(self):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                need(byte != 0 or shift == 0, "a number is not in its shortest form")
                return value
            shift += 7

    def text(self):
        return self.take(self.varuint())


class StoreReader:
    """Objects never change, so what was read of one holds as long as its file is the same inode."""

    def __init__(self, pool, digest):
        self.ghosts = os.path.join(os.fsencode(pool), b".ghostsnap")
        self.digest = digest
        self.known = {}

    def read(self, workspace, snapshot):
        """Rows and hard link groups, as Lister has them."""
        root, count = self.manifest(workspace, snapshot)
        rows = []
        groups = {}
        stack = [(b"", root)]
        while stack:
            path, entry = stack.pop()
            key = None
            if entry["type"] != "dir":
                key = entry["group"] or ("own", path)
                if entry["group"]:
                    groups.setdefault(key, []).append(path)
            rows.append((path, self.describe(entry), key))
            if entry["type"] == "dir":
                prefix = path + b"/" if path else b""
                for child in reversed(self.directory(entry["id"])):
                    stack.append((prefix + child["name"], child))
        need(len(rows) - 1 == count, "the manifest says %d entries" % count)
        return rows, groups

    def manifest(self, workspace, snapshot):
        path = os.path.join(self.ghosts, workspace.encode(), b"snapshots", snapshot.encode())
        return self.once(path, lambda data: self.parse_manifest(data, workspace, snapshot))

    def parse_manifest(self, data, workspace, snapshot):
        body, checksum = data[:-32], data[-32:]
        need(hashlib.sha256(body).digest() == checksum, "the manifest's checksum")
        source = Bytes(body)
        need(source.take(6) == b"GSSNAP" and source.u8() == 1, "the manifest's head")
        need(source.text() == snapshot.encode(), "the manifest's snapshot")
        need(source.text() == workspace.encode(), "the manifest's workspace")
        source.number("q")
        count = source.varuint()
        source.varuint()
        root = self.entry(source)
        for _ in range(source.varuint()):
            source.u8()
            source.text()
        need(source.at == len(body), "bytes after the manifest's end")
        return root, count

    def entry(self, source):
        kind = TYPES[source.u8()]
        parts = source.u8()
        entry = {"type": kind, "name": source.text(), "mode": source.varuint()}
        entry["uid"] = source.varuint()
        entry["gid"] = source.varuint()
        seconds = source.number("q")
        entry["mtime"] = seconds * 1_000_000_000 + source.number("I")
        entry["id"] = entry["content"] = None
        if kind == "file":
            entry["size"] = source.varuint()
            if parts & (HAS_BLOB | HAS_CLONE):
                entry["id"] = source.take(32)
                entry["content"] = "b" if parts & HAS_BLOB else "c"
        elif kind == "dir":
            entry["id"] = source.take(32)
        elif kind == "symlink":
            entry["target"] = source.text()
        elif kind in ("chardev", "blockdev"):
            source.varuint()
        entry["group"] = 0
        if parts & HAS_LINKS:
            source.varuint()
            entry["group"] = source.varuint()
        if parts & HAS_FLAGS:
            source.u8()
        entry["xattrs"] = []
        if parts & HAS_XATTRS:
            for _ in range(source.varuint()):
                name = source.text()
                entry["xattrs"].append((name, source.text()))
        return entry

    def describe(self, entry):
        size = content = "-"
        if entry["type"] == "file":
            size = str(entry["size"])
            content = self.content(entry)
        elif entry["type"] == "symlink":
            content = self.digest.escape(entry["target"])
        mode, owner = "%04o" % entry["mode"], (str(entry["uid"]), str(entry["gid"]))
        head = "\t".join((entry["type"], mode, *owner, size, str(entry["mtime"])))
        pairs = ("%s=%s" % (self.digest.escape(n), v.hex()) for n, v in sorted(entry["xattrs"]))
        return head, content + "\t" + ";".join(pairs) + "\t-"

    def object_path(self, identity, suffix):
        text = identity.hex()
        name = os.fsencode("objects/%s/%s.%s" % (text[:2], text[2:], suffix))
        return os.path.join(self.ghosts, name)

    def directory(self, identity):
        path = self.object_path(identity, "d")
        return self.once(path, lambda data: self.parse_directory(data, identity))

    def parse_directory(self, data, identity):
        head = Bytes(data)
        need(head.take(4) == b"GSOB" and head.u8() == 1, "a directory's head")
        codec = head.u8()
        head.take(2)
        length = head.number("I")
        payload = data[head.at :]
        encoded = decompress(payload, length) if codec == 1 else payload
        need(len(encoded) == length, "a directory's length")
        need(hashlib.sha256(encoded).digest() == identity, "a directory's name")
        source = Bytes(encoded)
        need(source.take(5) == b"GSDIR" and source.u8() == 1, "a directory's magic")
        entries = [self.entry(source) for _ in range(source.varuint())]
        names = [entry["name"] for entry in entries]
        need(names == sorted(set(names)), "the order of names")
        need(source.at == len(encoded), "bytes after a directory's end")
        return entries

    def content(self, entry):
        if entry["id"] is None:
            need(entry["size"] == 0, "a file without content")
            return hashlib.sha256(b"").hexdigest()
        path = self.object_path(entry["id"], entry["content"])
        if entry["content"] == "c":
            parse = hashlib.sha256
            found = self.once(path, lambda data: (len(data), parse(data).hexdigest()))
        else:
            found = self.once(path, lambda data: self.parse_blob(data, entry["id"]))
        need(found[0] == entry["size"], "a content's size")
        return found[1]

    def parse_blob(self, data, identity):
        source = Bytes(data)
        need(source.take(5) == b"GSBL\x01", "a blob's head")
        source.take(3)
        size = source.number("Q")
        need(source.number("I") == zlib.crc32(data[:16]), "the CRC of a blob's head")
        name = hashlib.sha256(struct.pack("<Q", size))
        content = hashlib.sha256()
        done = 0
        while True:
            head = source.take(16)
            offset, length, stored = struct.unpack("<QII", head)
            checksum = source.number("I")
            payload = source.take(stored & ~RAW_FLAG)
            need(zlib.crc32(payload, zlib.crc32(head)) == checksum, "the CRC of a chunk")
            content.update(bytes(offset - done))
            if length == 0:
                need(offset == size and source.at == len(data), "a blob's end")
                break
            chunk = payload if stored & RAW_FLAG else decompress(payload, length)
            need(len(chunk) == length, "a chunk's length")
            name.update(struct.pack("<QI", offset, length) + chunk)
            content.update(chunk)
            done = offset + length
        need(name.digest() == identity, "a blob's name")
        return size, content.hexdigest()

    def once(self, path, parse):
        info = os.lstat(path)
        stamp = (info.st_dev, info.st_ino, info.st_ctime_ns, info.st_size)
        known = self.known.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        with open(path, "rb") as file:
            parsed = parse(file.read())
        self.known[path] = (stamp, parsed)
        return parsed
