/**
 * A length of time in words, for the reasons that retention gives: whole units, the largest that fits.
 */

const UNITS: readonly (readonly [name: string, ms: number])[] = [
  ['week', 7 * 86_400_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
];

/** "2 days", "90 minutes", "1 hour"; "1500 ms" where no unit divides it. */
export function ageInWords(ms: number): string {
  const unit = UNITS.find(([, unitMs]) => ms >= unitMs && ms % unitMs === 0);
  if (unit === undefined) return `${ms} ms`;
  const count = ms / unit[1];
  return `${count} ${unit[0]}${count === 1 ? '' : 's'}`;
}
