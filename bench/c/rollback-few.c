/*
 * The steps of a rollback in place of a few files that are known to differ, and nothing else: what
 * btrfs itself costs. A read-only snapshot of WORKSPACE in PARENT, `send` without file data between it
 * and TARGET (which finds the paths), then for each PATH a clone beside its place, renamed over it, its
 * directory's times given back, and one syncfs.
 *
 * rollback-few TARGET PARENT NAME WORKSPACE PATH...
 *
 * Prints nanoseconds, one a line: all of it, the snapshot, the send, the files, the flush.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int checked(int result, const char *what) {
  if (result < 0) {
    perror(what);
    exit(1);
  }
  return result;
}

static int snapshot(int parent, int source, const char *name) {
  struct btrfs_ioctl_vol_args_v2 args;
  memset(&args, 0, sizeof args);
  args.fd = source;
  args.flags = BTRFS_SUBVOL_RDONLY;
  snprintf(args.name, sizeof args.name, "%s", name);
  checked(ioctl(parent, BTRFS_IOC_SNAP_CREATE_V2, &args), "BTRFS_IOC_SNAP_CREATE_V2");
  return checked(openat(parent, name, O_RDONLY | O_DIRECTORY), name);
}

static void find_changes(int from, int to) {
  struct btrfs_ioctl_ino_lookup_args lookup;
  struct btrfs_ioctl_send_args args;
  static char buffer[1 << 18];
  int ends[2];
  memset(&lookup, 0, sizeof lookup);
  lookup.objectid = 256; /* BTRFS_FIRST_FREE_OBJECTID: any inode names its tree */
  checked(ioctl(from, BTRFS_IOC_INO_LOOKUP, &lookup), "BTRFS_IOC_INO_LOOKUP");
  checked(pipe2(ends, O_NONBLOCK), "pipe2");
  checked(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), "F_SETPIPE_SZ");
  memset(&args, 0, sizeof args);
  args.send_fd = ends[1];
  args.parent_root = lookup.treeid;
  args.flags = BTRFS_SEND_FLAG_NO_FILE_DATA;
  checked(ioctl(to, BTRFS_IOC_SEND, &args), "BTRFS_IOC_SEND");
  while (read(ends[0], buffer, sizeof buffer) > 0) continue;
  close(ends[0]);
  close(ends[1]);
}

static void give_back(int target, int workspace, const char *path) {
  char beside[4200];
  char directory[4100];
  struct stat want;
  snprintf(directory, sizeof directory, "%s", path);
  char *slash = strrchr(directory, '/');
  if (slash == NULL) snprintf(directory, sizeof directory, ".");
  else *slash = 0;
  snprintf(beside, sizeof beside, "%s/.rollback-few.tmp", directory);
  int from = checked(openat(target, path, O_RDONLY | O_NOFOLLOW), path);
  int to = checked(openat(workspace, beside, O_WRONLY | O_CREAT | O_EXCL, 0600), beside);
  checked(fstat(from, &want), path);
  checked(ioctl(to, FICLONE, from), "FICLONE");
  checked(fchown(to, want.st_uid, want.st_gid), "fchown");
  checked(fchmod(to, want.st_mode & 07777), "fchmod");
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, want.st_mtim};
  checked(futimens(to, times), "futimens");
  close(from);
  close(to);
  checked(renameat(workspace, beside, workspace, path), "renameat");
  checked(fstatat(target, directory, &want, 0), directory);
  times[1] = want.st_mtim;
  checked(utimensat(workspace, directory, times, 0), "utimensat");
}

int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: rollback-few TARGET PARENT NAME WORKSPACE PATH...\n");
    return 2;
  }
  int target = checked(open(argv[1], O_RDONLY | O_DIRECTORY), argv[1]);
  int parent = checked(open(argv[2], O_RDONLY | O_DIRECTORY), argv[2]);
  int workspace = checked(open(argv[4], O_RDONLY | O_DIRECTORY), argv[4]);
  int64_t at[5];
  at[0] = now_ns();
  int before = snapshot(parent, workspace, argv[3]);
  at[1] = now_ns();
  find_changes(before, target);
  at[2] = now_ns();
  for (int i = 5; i < argc; i++) give_back(target, workspace, argv[i]);
  at[3] = now_ns();
  checked(syncfs(workspace), "syncfs");
  at[4] = now_ns();
  printf("%lld\n", (long long)(at[4] - at[0]));
  for (int i = 0; i < 4; i++) printf("%lld\n", (long long)(at[i + 1] - at[i]));
  return 0;
}
