/** The id that the kernel makes up each time it starts. */
import { readFileSync } from 'node:fs';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

export function readBootId(): string {
  return readFileSync(BOOT_ID, 'latin1').trim();
}
