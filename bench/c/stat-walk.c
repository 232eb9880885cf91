/*
 * A bare stat walk, as the baseline of everything that must look at each file: readdir and fstatat.
 *
 * stat-walk COUNT ROOT
 *
 * Prints one duration in nanoseconds a line, COUNT of them; the number of entries goes to stderr.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static long entries;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void walk(int fd) {
  DIR *directory = fdopendir(fd);
  struct dirent *entry;
  struct stat info;
  if (directory == NULL) {
    perror("fdopendir");
    exit(1);
  }
  while ((entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0) {
      perror(entry->d_name);
      exit(1);
    }
    entries++;
    if (S_ISDIR(info.st_mode)) {
      int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (child < 0) {
        perror(entry->d_name);
        exit(1);
      }
      walk(child);
    }
  }
  closedir(directory);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: stat-walk COUNT ROOT\n");
    return 2;
  }
  for (int n = atoi(argv[1]); n > 0; n--) {
    entries = 0;
    int64_t start = now_ns();
    int root = open(argv[2], O_RDONLY | O_DIRECTORY);
    if (root < 0) {
      perror(argv[2]);
      return 1;
    }
    walk(root);
    printf("%lld\n", (long long)(now_ns() - start));
  }
  fprintf(stderr, "%ld entries\n", entries);
  return 0;
}
