/**
 * What a file of another program ends with, for a word in the log.
 *
 * Its path comes from a payload: only a regular file is read, without waiting for one that has no writer, and no
 * more of it than the bound. Nothing is decided by it, so what can't be read says nothing.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** A line of a command with much output has some hundred kilobytes. */
const END_BYTES_MAX = 1024 * 1024;

/** '' when it cannot be read, or is no file. */
export async function endOfFile(file: string): Promise<string> {
  try {
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    return await readEnd(handle);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return '';
    throw error;
  }
}

async function readEnd(handle: FileHandle): Promise<string> {
  const found = await handle.stat();
  if (!found.isFile()) return '';
  const length = Math.min(found.size, END_BYTES_MAX);
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, found.size - length);
  return buffer.toString('utf8', 0, bytesRead);
}
