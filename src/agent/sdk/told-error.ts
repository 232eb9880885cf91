/**
 * An error that a tool threw, with what the policy says of the call where a model reads it: in the message.
 *
 * It is a new error with the old one as its cause; the old one is never changed. Errors that an SDK knows by
 * what they are, and not by what they say, stay themselves: they end or suspend a run.
 */
import { inspect } from 'node:util';

/** Of the OpenAI Agents SDK, which keeps what it knows of them beside the very object. */
const KNOWN_BY_NAME: ReadonlySet<string> = new Set([
  ...['AbortError', 'ToolTimeoutError', 'InvalidToolInputError', 'InvalidToolOutputError'],
]);

/** @returns null: it must stay the error that it is */
export function errorWithMessage(error: unknown, message: string): Error | null {
  if (!(error instanceof Error)) {
    const text = typeof error === 'string' ? error : inspect(error);
    return new Error(`${text}\n\n${message}`, { cause: error });
  }
  // LangGraph suspends a run and hands over to another agent by throwing.
  const isBubbleUp = Reflect.get(error, 'is_bubble_up') === true;
  if (isBubbleUp || KNOWN_BY_NAME.has(error.name)) return null;
  const told = new Error(`${error.message}\n\n${message}`, { cause: error });
  told.name = error.name;
  return told;
}
