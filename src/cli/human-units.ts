/**
 * Sizes, times and ages the way people read them. Pure: "now" is passed in.
 */
import { GhostsnapError } from '../core/errors.ts';

const SIZE_UNITS = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const SIZE_PATTERN = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?$/i;

export function formatBytes(sizeBytes: number): string {
  if (sizeBytes < 1024) return `${sizeBytes} B`;
  let value = sizeBytes;
  let unit = 'B';
  for (const next of SIZE_UNITS) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/**
 * `20G`, `512MiB`, `1.5t` in powers of 1024, or plain bytes.
 * @throws GhostsnapError BAD_ARGUMENT
 */
export function parseBytes(text: string): number {
  const [, digits, unit = ''] = SIZE_PATTERN.exec(text.trim()) ?? [];
  const sizeBytes =
    digits === undefined
      ? Number.NaN
      : Math.round(Number(digits) * 1024 ** ' kmgtp'.indexOf(unit.toLowerCase() || ' '));
  if (Number.isSafeInteger(sizeBytes) && sizeBytes > 0) return sizeBytes;
  throw new GhostsnapError('BAD_ARGUMENT', `${JSON.stringify(text)} is not a size.`, {
    hint: 'Write a size as 512M, 20G or 1.5T (powers of 1024), or as a number of bytes.',
  });
}

export function formatDuration(durationMs: number): string {
  if (durationMs < 10) return `${durationMs.toFixed(1)} ms`;
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  return `${Math.floor(durationMs / 60_000)} min ${Math.round((durationMs % 60_000) / 1000)} s`;
}

/** For JSON: milliseconds to the microsecond, the clock's further digits are noise. */
export function roundedMs(durationMs: number): number {
  return Math.round(durationMs * 1000) / 1000;
}

const AGE_STEPS: readonly (readonly [name: string, seconds: number])[] = [
  ['day', 86_400],
  ['hour', 3600],
  ['min', 60],
  ['s', 1],
];

/** `3 min ago`; `now` below a second and for times ahead of the clock. */
export function formatAge(createdAt: string, nowMs: number): string {
  const seconds = Math.floor((nowMs - Date.parse(createdAt)) / 1000);
  for (const [name, length] of AGE_STEPS) {
    const count = Math.floor(seconds / length);
    if (count < 1) continue;
    const plural = count > 1 && length >= 3600 ? 's' : '';
    return `${count} ${name}${plural} ago`;
  }
  return 'now';
}

/** `1 snapshot`, `2 snapshots`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
