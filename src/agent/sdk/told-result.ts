/**
 * A tool's result with what the policy says of the call, in a place where a model reads it.
 *
 * A text gets another paragraph, a list of content blocks another block, an object another field. What is
 * none of these stays as it is: a result must not change its kind. Results are copied, never changed.
 */

/** The field of an object that carries the message. */
const FIELD = 'ghostsnap';

/** @returns null: there is no place for it in a result of this kind */
export function withMessage<T>(result: T, message: string): T | null {
  if (typeof result === 'string') return `${result}\n\n${message}` as T;
  if (Array.isArray(result)) {
    if (!result.every(isBlock)) return null;
    return [...(result as readonly unknown[]), { type: 'text', text: message }] as T;
  }
  return isPlain(result) && !(FIELD in result) ? ({ ...result, [FIELD]: message } as T) : null;
}

function isBlock(value: unknown): boolean {
  return isPlain(value) && typeof Reflect.get(value, 'type') === 'string';
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
