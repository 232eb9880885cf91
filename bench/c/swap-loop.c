/*
 * The bare way back by exchange, as the baseline of a rollback by swap: a writable snapshot of TARGET
 * in PARENT, then one renameat2(RENAME_EXCHANGE) with WORKSPACE.
 *
 * swap-loop TARGET PARENT NAME WORKSPACE
 *
 * Prints the duration in nanoseconds. The replaced tree stays as PARENT/NAME.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/btrfs.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
  struct btrfs_ioctl_vol_args_v2 args;
  if (argc != 5) {
    fprintf(stderr, "usage: swap-loop TARGET PARENT NAME WORKSPACE\n");
    return 2;
  }
  int64_t start = now_ns();
  int target = open(argv[1], O_RDONLY | O_DIRECTORY);
  int parent = open(argv[2], O_RDONLY | O_DIRECTORY);
  memset(&args, 0, sizeof args);
  args.fd = target;
  snprintf(args.name, sizeof args.name, "%s", argv[3]);
  if (target < 0 || parent < 0 || ioctl(parent, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0) {
    perror("BTRFS_IOC_SNAP_CREATE_V2");
    return 1;
  }
  if (renameat2(parent, argv[3], AT_FDCWD, argv[4], RENAME_EXCHANGE) < 0) {
    perror("renameat2");
    return 1;
  }
  printf("%lld\n", (long long)(now_ns() - start));
  return 0;
}
