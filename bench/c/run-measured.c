/*
 * Runs a command and prints what it took, as wait4(2) says.
 *
 * run-measured COMMAND...
 *
 * The last line of stderr is "wall_ns max_rss_kib exit_status"; the command's stdout passes through.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
  struct rusage usage;
  int status;
  if (argc < 2) return 2;
  int64_t start = now_ns();
  pid_t pid = vfork();
  if (pid == 0) {
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  if (pid < 0 || wait4(pid, &status, 0, &usage) < 0) {
    perror("run-measured");
    return 1;
  }
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  fprintf(stderr, "\n%lld %ld %d\n", (long long)(now_ns() - start), usage.ru_maxrss, code);
  return code;
}
