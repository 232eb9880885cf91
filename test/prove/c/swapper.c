/*
 * Exchanges pairs of names as fast as it can: `swapper NAME NAME [NAME NAME]...`.
 *
 * Stands for somebody who wants a rollback to follow a symlink that was a directory a moment ago. Ends
 * when its input is closed, with every pair as it was in the beginning, and prints how many exchanges
 * succeeded. A name that is missing for the moment is tried again with the next round.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXCHANGE 2
/* Rounds between two looks at the input: a look costs as much as an exchange. */
#define ROUNDS_A_LOOK 64

static int exchange(const char *a, const char *b) {
  return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, EXCHANGE);
}

int main(int count, char **names) {
  int pairs = (count - 1) / 2;
  long exchanges = 0;
  char *swapped = calloc((size_t)pairs + 1, 1);
  struct pollfd input = {.fd = 0, .events = POLLIN};
  if (swapped == NULL || pairs == 0) return 64;
  for (long round = 0;; round += 1) {
    if (round % ROUNDS_A_LOOK == 0 && poll(&input, 1, 0) != 0) break;
    for (int pair = 0; pair < pairs; pair += 1) {
      if (exchange(names[1 + 2 * pair], names[2 + 2 * pair]) != 0) continue;
      swapped[pair] ^= 1;
      exchanges += 1;
    }
  }
  for (int pair = pairs - 1; pair >= 0; pair -= 1) {
    if (swapped[pair]) exchange(names[1 + 2 * pair], names[2 + 2 * pair]);
  }
  printf("%ld\n", exchanges);
  return 0;
}
