/** A command line in what an agent gave to a tool. Pure; the log shows it, policies speak of it. */

/** The command line in a tool's input, as agents pass it; null: it runs none. */
export function commandIn(input: unknown): string | null {
  if (typeof input !== 'object' || input === null) return null;
  const fields = input as Readonly<Record<string, unknown>>;
  for (const key of ['command', 'cmd', 'script']) {
    const value = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (typeof value === 'string') return value;
    if (Array.isArray(value)) return value.filter((one) => typeof one === 'string').join(' ');
  }
  return null;
}
