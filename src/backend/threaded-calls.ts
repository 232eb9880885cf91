/**
 * How many system calls run on threads at once, and the memory that koffi keeps for them.
 *
 * koffi maps memory anew for each call beyond the ones it keeps, and throws beyond a limit of its own:
 * so its limit is never reached, and whoever comes later waits here, in order.
 */
import koffi from 'koffi';

/** The most that koffi keeps. */
const CALLS_RESIDENT = 32;

/** Calls under way or waiting for a thread: four times the threads that are worth having. */
const CALLS_MAX = 256;

/** Bytes of stack and of arguments of a call: the wrappers of libc need a fraction of it. */
const STACK_BYTES = 65_536;
const HEAP_BYTES = 4096;

/** Only before koffi loads anything; where another user of it in this process came first, its settings stay. */
export function configureThreadedCalls(): void {
  try {
    koffi.config({
      async_stack_size: STACK_BYTES,
      async_heap_size: HEAP_BYTES,
      resident_async_pools: CALLS_RESIDENT,
      max_async_calls: 2 * CALLS_MAX,
    });
  } catch {
    // It says so by throwing; the calls work all the same.
  }
}

let calls = 0;
/** Known once a call begins: whoever came first may have let koffi allow less. */
let callsMax = 0;
const waiting: (() => void)[] = [];

/** Begins a call, now or when an earlier one has ended; `begin` is called once. */
export function beginThreaded(begin: () => void): void {
  // A place is given on in the moment a call ends, when koffi still counts it: half of what koffi allows.
  if (callsMax === 0)
    callsMax = Math.min(CALLS_MAX, (koffi.config().max_async_calls ?? CALLS_MAX) >> 1);
  if (calls >= callsMax) {
    waiting.push(begin);
    return;
  }
  calls += 1;
  begin();
}

/** A call has ended: its place goes to the one that waits longest. */
export function endThreaded(): void {
  const next = waiting.shift();
  if (next === undefined) calls -= 1;
  else next();
}
