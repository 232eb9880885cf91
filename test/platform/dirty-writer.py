"""Changes a file in the way that each line of its input names, and answers each with "ok".

dirty-writer.py FILE: the file is mapped and open from the start, so that nothing but the change
itself happens after a line has come.
"""

import ctypes
import mmap
import os
import struct
import sys

PAGE = 4096
libc = ctypes.CDLL(None, use_errno=True)
path = sys.argv[1]
fd = os.open(path, os.O_RDWR)
mapping = mmap.mmap(fd, PAGE)
aligned = mmap.mmap(-1, PAGE)
counter = 0


def payload():
    global counter
    counter += 1
    return struct.pack("<Q", counter) * 8


def check(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")
    return result


def store():
    mapping[0:64] = payload()


def write():
    os.pwrite(fd, payload(), 0)


def append():
    os.pwrite(fd, payload(), os.fstat(fd).st_size)


def direct():
    aligned[0:64] = payload()
    direct_fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    os.pwrite(direct_fd, aligned, 0)
    os.close(direct_fd)


class Iocb(ctypes.Structure):
    """struct iocb of linux/aio_abi.h, little endian."""

    _fields_ = [
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_int32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("fildes", ctypes.c_uint32),
        ("buf", ctypes.c_uint64),
        ("nbytes", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("resfd", ctypes.c_uint32),
    ]


def aio():
    """Buffered, through io_submit: no event of fanotify or inotify tells of it."""
    context = ctypes.c_ulong(0)
    check(libc.syscall(206, 1, ctypes.byref(context)), "io_setup")
    data = payload()
    buffer = ctypes.create_string_buffer(data, len(data))
    iocb = Iocb(opcode=1, fildes=fd, buf=ctypes.addressof(buffer), nbytes=len(data))
    pointers = (ctypes.c_void_p * 1)(ctypes.addressof(iocb))
    check(libc.syscall(209, context, 1, pointers), "io_submit")
    events = ctypes.create_string_buffer(32)
    check(libc.syscall(208, context, 1, 1, events, None), "io_getevents")
    check(libc.syscall(207, context), "io_destroy")


def uring():
    """One write through a ring of one entry. Offsets are those of struct io_uring_params."""
    params = ctypes.create_string_buffer(120)
    ring = check(libc.syscall(425, 1, params), "io_uring_setup")
    sq_entries, cq_entries = struct.unpack_from("<II", params, 0)
    sq = struct.unpack_from("<10I", params, 40)
    cq = struct.unpack_from("<10I", params, 80)
    sq_ring = mmap.mmap(ring, sq[6] + sq_entries * 4, offset=0)
    cq_ring = mmap.mmap(ring, cq[5] + cq_entries * 16, offset=0x8000000)
    sqes = mmap.mmap(ring, sq_entries * 64, offset=0x10000000)
    data = payload()
    buffer = ctypes.create_string_buffer(data, len(data))
    sqes[0:64] = struct.pack(
        "<BBHiQQIIQHHiQQ", 23, 0, 0, fd, 0, ctypes.addressof(buffer), len(data), 0, 0, 0, 0, 0, 0, 0
    )
    struct.pack_into("<I", sq_ring, sq[6], 0)
    struct.pack_into("<I", sq_ring, sq[1], 1)
    check(libc.syscall(426, ring, 1, 1, 1, None, 0), "io_uring_enter")
    result = struct.unpack_from("<i", cq_ring, cq[5] + 8)[0]
    if result != len(data):
        raise OSError(-result, "the write through the ring failed")
    os.close(ring)


WAYS = {"store": store, "write": write, "append": append, "direct": direct, "aio": aio, "uring": uring}

print("ok", flush=True)
for line in sys.stdin:
    WAYS[line.strip()]()
    print("ok", flush=True)
