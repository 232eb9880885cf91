/*
 * A disk that records: one file, `disk`, served through FUSE, whose writes, discards and flushes go to a
 * log in the order they came, each before it is answered.
 *
 * It speaks the kernel's protocol itself (linux/fuse.h), one request at a time, so that no library is
 * needed and the order is the order of the log. A loop device on the file gives a disk with a write
 * cache: a flush of the device is a FSYNC here. Nothing is kept from the caller: what the log says is
 * for somebody who later builds the disk as a power loss would have left it.
 *
 *   recording-disk MOUNT-POINT BACKING-FILE LOG-FILE
 *
 * Standard input makes it slow, a byte each: 'h' holds every read, write and flush from now on, '1' lets one of them
 * through, 'g' lets them go. Its end lets them go for good, so that a disk never waits for whoever has died. A line "held"
 * is printed for each that begins to wait: the others come behind it.
 *
 * Prints "ready" when it is mounted and ends when it is unmounted. A record of the log is 24 bytes in
 * the machine's order: kind (1 write, 2 discard, 3 flush), offset, length; a write's data follows it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KIND_WRITE = 1, KIND_DISCARD = 2, KIND_FLUSH = 3 };
enum { DISK_ID = 2, WRITE_BYTES_MAX = 128 * 1024, BUFFER_BYTES = WRITE_BYTES_MAX + 4096 };
/* Nothing changes but by this mount: the kernel need not ask again. Seconds. */
static const uint64_t VALID = 1 << 30;

static int fuse_fd, backing_fd, log_fd;
static uint64_t disk_bytes;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int is_held, may_pass, is_over;

/* Takes what was said; waits for it only where nothing may pass. */
static void listen_to_holder(int may_wait) {
  while (!is_over) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    int said = poll(&input, 1, may_wait && is_held && may_pass == 0 ? -1 : 0);
    if (said < 0 && errno == EINTR) continue;
    if (said <= 0) return;
    char byte;
    if (read(0, &byte, 1) <= 0) is_over = 1, is_held = 0;
    else if (byte == 'h') is_held = 1, may_pass = 0;
    else if (byte == 'g') is_held = 0;
    else if (byte == '1') may_pass += 1;
  }
}

static void wait_to_pass(void) {
  listen_to_holder(0);
  if (!is_held) return;
  if (may_pass == 0) {
    puts("held");
    fflush(stdout);
    listen_to_holder(1);
  }
  if (may_pass > 0) may_pass -= 1;
}

static void record(uint64_t kind, uint64_t offset, uint64_t length, const void *data) {
  uint64_t head[3] = {kind, offset, length};
  struct iovec parts[2] = {{head, sizeof head}, {(void *)data, data == NULL ? 0 : length}};
  ssize_t wanted = (ssize_t)(parts[0].iov_len + parts[1].iov_len);
  if (writev(log_fd, parts, 2) != wanted) fail("writing the log");
}

static void reply(uint64_t unique, int error, const void *data, size_t length) {
  struct fuse_out_header head = {sizeof head + length, -error, unique};
  struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, length}};
  /* ENOENT: the request was given up meanwhile. */
  if (writev(fuse_fd, parts, 2) < 0 && errno != ENOENT) fail("answering");
}

static struct fuse_attr attributes(uint64_t id) {
  struct fuse_attr attr = {.ino = id, .nlink = 1, .blksize = 4096};
  attr.mode = id == DISK_ID ? S_IFREG | 0600 : S_IFDIR | 0700;
  attr.size = id == DISK_ID ? disk_bytes : 0;
  attr.blocks = attr.size / 512;
  return attr;
}

static void on_lookup(uint64_t unique, const char *name) {
  if (strcmp(name, "disk") != 0) return reply(unique, ENOENT, NULL, 0);
  struct fuse_entry_out out = {.nodeid = DISK_ID, .entry_valid = VALID, .attr_valid = VALID};
  out.attr = attributes(DISK_ID);
  reply(unique, 0, &out, sizeof out);
}

static void on_getattr(uint64_t unique, uint64_t id) {
  struct fuse_attr_out out = {.attr_valid = VALID, .attr = attributes(id)};
  reply(unique, 0, &out, sizeof out);
}

static void on_init(uint64_t unique, const struct fuse_init_in *in) {
  struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};
  out.max_readahead = in->max_readahead;
  out.flags = FUSE_BIG_WRITES;
  out.max_background = 16;
  out.congestion_threshold = 12;
  out.max_write = WRITE_BYTES_MAX;
  out.time_gran = 1;
  reply(unique, 0, &out, sizeof out);
}

static void on_read(uint64_t unique, const struct fuse_read_in *in) {
  static char data[BUFFER_BYTES];
  size_t wanted = in->size < WRITE_BYTES_MAX ? in->size : WRITE_BYTES_MAX;
  ssize_t got = pread(backing_fd, data, wanted, (off_t)in->offset);
  if (got < 0) return reply(unique, errno, NULL, 0);
  reply(unique, 0, data, (size_t)got);
}

static void on_write(uint64_t unique, const struct fuse_write_in *in) {
  const void *data = in + 1;
  if (pwrite(backing_fd, data, in->size, (off_t)in->offset) != (ssize_t)in->size) {
    return reply(unique, errno, NULL, 0);
  }
  record(KIND_WRITE, in->offset, in->size, data);
  struct fuse_write_out out = {.size = in->size};
  reply(unique, 0, &out, sizeof out);
}

/* A discard and a write of zeros look the same afterwards. */
static void on_fallocate(uint64_t unique, const struct fuse_fallocate_in *in) {
  if ((in->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == 0) {
    return reply(unique, EOPNOTSUPP, NULL, 0);
  }
  int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (fallocate(backing_fd, mode, (off_t)in->offset, (off_t)in->length) != 0) {
    return reply(unique, errno, NULL, 0);
  }
  record(KIND_DISCARD, in->offset, in->length, NULL);
  reply(unique, 0, NULL, 0);
}

static void on_request(const struct fuse_in_header *head) {
  const void *body = head + 1;
  switch (head->opcode) {
    case FUSE_INIT: return on_init(head->unique, body);
    case FUSE_LOOKUP: return on_lookup(head->unique, body);
    case FUSE_GETATTR:
    case FUSE_SETATTR: return on_getattr(head->unique, head->nodeid);
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
      struct fuse_open_out out = {.open_flags = FOPEN_KEEP_CACHE};
      return reply(head->unique, 0, &out, sizeof out);
    }
    case FUSE_READ: wait_to_pass(); return on_read(head->unique, body);
    case FUSE_WRITE: wait_to_pass(); return on_write(head->unique, body);
    case FUSE_FALLOCATE: wait_to_pass(); return on_fallocate(head->unique, body);
    case FUSE_FSYNC:
      wait_to_pass();
      record(KIND_FLUSH, 0, 0, NULL);
      return reply(head->unique, 0, NULL, 0);
    case FUSE_STATFS: {
      struct fuse_statfs_out out = {.st = {.bsize = 4096, .namelen = 255}};
      return reply(head->unique, 0, &out, sizeof out);
    }
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_READDIR:
    case FUSE_DESTROY: return reply(head->unique, 0, NULL, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: return;
    default: return reply(head->unique, ENOSYS, NULL, 0);
  }
}

int main(int count, char **values) {
  if (count != 4) {
    fprintf(stderr, "recording-disk MOUNT-POINT BACKING-FILE LOG-FILE\n");
    return 64;
  }
  if ((backing_fd = open(values[2], O_RDWR | O_CLOEXEC)) < 0) fail(values[2]);
  log_fd = open(values[3], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) fail(values[3]);
  struct stat backing;
  if (fstat(backing_fd, &backing) != 0) fail(values[2]);
  disk_bytes = (uint64_t)backing.st_size;
  if ((fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC)) < 0) fail("/dev/fuse");
  char options[128];
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse_fd);
  if (mount("recording-disk", values[1], "fuse", MS_NOSUID | MS_NODEV, options) != 0) fail("mount");
  puts("ready");
  fflush(stdout);
  static char request[BUFFER_BYTES];
  for (;;) {
    ssize_t got = read(fuse_fd, request, sizeof request);
    if (got >= (ssize_t)sizeof(struct fuse_in_header)) on_request((const void *)request);
    else if (got < 0 && errno == ENODEV) return 0;
    else if (got < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT) fail("reading");
  }
}
