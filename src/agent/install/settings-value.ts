/**
 * Reading of settings that others wrote: a value by its place, and nothing where the file is something else.
 */
import { parse } from 'jsonc-parser';

/** undefined: it is not there, or the text is no JSON. */
export function valueAt(text: string | null, keys: readonly string[]): unknown {
  let value: unknown = text === null ? undefined : parse(text);
  for (const key of keys) {
    value = isFields(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return value;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
