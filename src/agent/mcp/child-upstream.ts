/**
 * A server that is a child process: its standard input and output are the way to it.
 *
 * A server that has ended takes nothing more: what is still sent to it is dropped without an error,
 * because the end itself is what the client is told.
 */
import type { Readable, Writable } from 'node:stream';
import { type Upstream, writeTo } from './proxy.ts';

export function childUpstream(child: {
  readonly stdin: Writable;
  readonly stdout: Readable;
}): Upstream {
  let isGone = false;
  child.stdin.on('error', () => {
    // EPIPE: it has ended, or has closed its input; its output says what comes of that.
    isGone = true;
  });
  return {
    send: async (bytes) => {
      if (isGone) return;
      try {
        await writeTo(child.stdin, bytes);
      } catch {
        // As above: the error event of the stream has been, or is about to be, seen.
        isGone = true;
      }
    },
    end: () => child.stdin.end(),
    output: child.stdout,
  };
}
