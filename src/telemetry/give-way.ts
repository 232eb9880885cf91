/** Lets a thread run only while no other wants the processor. */
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';

/** The most yielding that there is short of running only when idle. */
const NICENESS = 19;

/** Of the thread that calls it, on Linux; elsewhere it goes on as it was. */
export function giveWay(): void {
  try {
    // Linux takes a thread's number where others take a process's; the link names the one that asks.
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), NICENESS);
  } catch {
    // Not Linux, or no /proc: it runs as the core does, which costs time only while it works.
  }
}
