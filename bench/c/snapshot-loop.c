/*
 * The bare ioctl, as the baseline of the benchmarks: nothing but BTRFS_IOC_SNAP_CREATE_V2 in a loop.
 *
 * snapshot-loop COUNT TOUCH PREFIX {WORKSPACE PARENT}...
 *
 * One thread a pair takes COUNT read-only snapshots of WORKSPACE in PARENT, named PREFIX_<thread>_<n>.
 * TOUCH is a file below WORKSPACE that is overwritten before each snapshot, outside of the measured
 * time, or "-". Prints the wall time of all threads in nanoseconds, then one duration a line.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/btrfs.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

struct job {
  int index, count;
  const char *touch, *prefix, *workspace, *parent;
  int64_t *ns;
};

static pthread_barrier_t barrier;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void touch_file(const struct job *job, int workspace, int n) {
  char text[32];
  if (strcmp(job->touch, "-") == 0) return;
  int fd = openat(workspace, job->touch, O_WRONLY | O_CREAT, 0644);
  int length = snprintf(text, sizeof text, "change %d\n", n);
  if (fd < 0 || write(fd, text, (size_t)length) != length) fail(job->touch);
  close(fd);
}

static void *run(void *argument) {
  struct job *job = argument;
  struct btrfs_ioctl_vol_args_v2 args;
  int workspace = open(job->workspace, O_RDONLY | O_DIRECTORY);
  int parent = open(job->parent, O_RDONLY | O_DIRECTORY);
  if (workspace < 0 || parent < 0) fail(job->workspace);
  pthread_barrier_wait(&barrier);
  for (int n = 0; n < job->count; n++) {
    touch_file(job, workspace, n);
    memset(&args, 0, sizeof args);
    args.fd = workspace;
    args.flags = BTRFS_SUBVOL_RDONLY;
    snprintf(args.name, sizeof args.name, "%s_%d_%d", job->prefix, job->index, n);
    int64_t start = now_ns();
    if (ioctl(parent, BTRFS_IOC_SNAP_CREATE_V2, &args) < 0) fail("BTRFS_IOC_SNAP_CREATE_V2");
    job->ns[n] = now_ns() - start;
  }
  close(workspace);
  close(parent);
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 6 || argc % 2 != 0) {
    fprintf(stderr, "usage: snapshot-loop COUNT TOUCH PREFIX {WORKSPACE PARENT}...\n");
    return 2;
  }
  int count = atoi(argv[1]), threads = (argc - 4) / 2;
  struct job *jobs = calloc((size_t)threads, sizeof *jobs);
  pthread_t *ids = calloc((size_t)threads, sizeof *ids);
  if (jobs == NULL || ids == NULL) fail("calloc");
  pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
  for (int i = 0; i < threads; i++) {
    jobs[i] = (struct job){i, count, argv[2], argv[3], argv[4 + 2 * i], argv[5 + 2 * i], NULL};
    jobs[i].ns = calloc((size_t)count, sizeof(int64_t));
    if (jobs[i].ns == NULL) fail("calloc");
    if (pthread_create(&ids[i], NULL, run, &jobs[i]) != 0) fail("pthread_create");
  }
  pthread_barrier_wait(&barrier);
  int64_t start = now_ns();
  for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  printf("%lld\n", (long long)(now_ns() - start));
  for (int i = 0; i < threads; i++)
    for (int n = 0; n < count; n++) printf("%lld\n", (long long)jobs[i].ns[n]);
  return 0;
}
