/*
 * Snapshots that are taken while others are deleted, with nothing but the bare calls.
 *
 * delete-beside LOT COUNT TOUCH PREFIX WORKSPACE PARENT
 *
 * One thread deletes the COUNT snapshots of PARENT that snapshot-loop made with PREFIX (<PREFIX>_0_<n>), and
 * makes the deletions durable after each LOT of them. Another one takes read-only snapshots of WORKSPACE in
 * PARENT meanwhile, each after overwriting TOUCH. Prints the wall time of the deletion in nanoseconds, then
 * the duration of each of those snapshots, one a line.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/btrfs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SNAPSHOTS_MAX 1000000

static const char *touch, *prefix;
static int lot, count, workspace, parent;
static atomic_int done;
static int64_t ns[SNAPSHOTS_MAX];

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void make_durable(void) {
  __u64 transaction = 0;
  if (ioctl(parent, BTRFS_IOC_START_SYNC, &transaction) < 0) fail("BTRFS_IOC_START_SYNC");
  if (ioctl(parent, BTRFS_IOC_WAIT_SYNC, &transaction) < 0) fail("BTRFS_IOC_WAIT_SYNC");
}

static void *delete_all(void *unused) {
  static struct btrfs_ioctl_vol_args_v2 args;
  for (int n = 0; n < count; n++) {
    memset(&args, 0, sizeof args);
    snprintf(args.name, sizeof args.name, "%s_0_%d", prefix, n);
    if (ioctl(parent, BTRFS_IOC_SNAP_DESTROY_V2, &args) < 0) fail("BTRFS_IOC_SNAP_DESTROY_V2");
    if (n % lot == lot - 1 || n == count - 1) make_durable();
  }
  atomic_store(&done, 1);
  return unused;
}

static void touch_file(int n) {
  char text[32];
  int fd = openat(workspace, touch, O_WRONLY | O_CREAT, 0644);
  int length = snprintf(text, sizeof text, "change %d\n", n);
  if (fd < 0 || write(fd, text, (size_t)length) != length) fail(touch);
  close(fd);
}

int main(int argc, char **argv) {
  static struct btrfs_ioctl_vol_args_v2 args;
  pthread_t deleter;
  if (argc != 7) {
    fprintf(stderr, "usage: delete-beside LOT COUNT TOUCH PREFIX WORKSPACE PARENT\n");
    return 2;
  }
  lot = atoi(argv[1]), count = atoi(argv[2]), touch = argv[3], prefix = argv[4];
  workspace = open(argv[5], O_RDONLY | O_DIRECTORY);
  parent = open(argv[6], O_RDONLY | O_DIRECTORY);
  if (workspace < 0 || parent < 0) fail(argv[5]);
  int64_t begun = now_ns();
  if (pthread_create(&deleter, NULL, delete_all, NULL) != 0) fail("pthread_create");
  int taken = 0;
  for (; !atomic_load(&done) && taken < SNAPSHOTS_MAX; taken++) {
    touch_file(taken);
    memset(&args, 0, sizeof args);
    args.fd = workspace;
    args.flags = BTRFS_SUBVOL_RDONLY;
    snprintf(args.name, sizeof args.name, "%s_beside_%d", prefix, taken);
    int64_t start = now_ns();
    if (ioctl(parent, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0) fail("BTRFS_IOC_SNAP_CREATE_V2");
    ns[taken] = now_ns() - start;
  }
  pthread_join(deleter, NULL);
  printf("%lld\n", (long long)(now_ns() - begun));
  for (int n = 0; n < taken; n++) printf("%lld\n", (long long)ns[n]);
  return 0;
}
