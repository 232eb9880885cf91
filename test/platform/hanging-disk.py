"""A filesystem whose server stops answering: hanging-disk.py MOUNT-POINT.

Holds one file, "file", served through FUSE by the kernel's protocol; the kernel may keep none of
its attributes. "ready" is printed when it is mounted. From the line "hang" on nothing is answered;
when the program ends the kernel gives up what waits.
"""

import ctypes
import os
import select
import stat
import struct
import sys

LOOKUP, FORGET, GETATTR, OPEN, RELEASE = 1, 2, 3, 14, 18
FLUSH, INIT, OPENDIR, RELEASEDIR = 25, 26, 27, 29
ENOSYS, ENOENT = 38, 2
ROOT_ID, FILE_ID = 1, 2

libc = ctypes.CDLL(None, use_errno=True)
mount_point = sys.argv[1]
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0".encode()
if libc.mount(b"hanging-disk", mount_point.encode(), b"fuse", 6, options) != 0:
    raise OSError(ctypes.get_errno(), "mount", mount_point)


def attributes(node):
    mode = stat.S_IFREG | 0o600 if node == FILE_ID else stat.S_IFDIR | 0o700
    # ino, size, blocks, three times; their nanoseconds, mode, nlink, uid, gid, rdev, blksize, flags
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer_to(opcode, node, body):
    if opcode == INIT:
        return 0, struct.pack("<IIIIHHII", 7, 31, 0, 0, 16, 12, 4096, 1) + bytes(36)
    if opcode == LOOKUP:
        if body.rstrip(b"\0") != b"file":
            return -ENOENT, b""
        return 0, struct.pack("<QQQQII", FILE_ID, 0, 0, 0, 0, 0) + attributes(FILE_ID)
    if opcode == GETATTR:
        return 0, struct.pack("<QII", 0, 0, 0) + attributes(node)
    if opcode in (OPEN, OPENDIR):
        return 0, struct.pack("<QII", 0, 0, 0)
    if opcode in (FLUSH, RELEASE, RELEASEDIR):
        return 0, b""
    return -ENOSYS, b""


print("ready", flush=True)
is_hanging = False
while True:
    ready, _, _ = select.select([sys.stdin] if is_hanging else [fuse, sys.stdin], [], [])
    if sys.stdin in ready:
        line = sys.stdin.readline()
        if line == "":
            sys.exit(0)
        is_hanging = True
        print("hanging", flush=True)
        continue
    request = os.read(fuse, 1 << 17)
    _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
    if opcode == FORGET:
        continue
    error, data = answer_to(opcode, node, request[40:])
    os.write(fuse, struct.pack("<IiQ", 16 + len(data), error, unique) + data)
