/**
 * The edge where a failed system call gets its code: an object whose methods throw GhostsnapErrors.
 *
 * Inside, code converts an error where it can say more than the edge could; what it did not think of
 * (the table of descriptors is full, the disk gives EIO at a call that never fails) is converted here, with the
 * operation, the path and the cause. Everything a method gives back is covered: what it throws, what its
 * promise is rejected with, and what an iteration or a reader fails with later. Bugs pass as they are.
 */
import { GhostsnapError } from '../core/errors.ts';
import { rawFromText } from '../core/raw-path.ts';
import { errnoOf, type FailureContext, toGhostsnapError } from './syscall-failure.ts';

/** What was being done, for the person, when the method failed. `path` is used where the error names none. */
export type DescribeFailure<T extends object = object> = (
  method: string,
  args: readonly unknown[],
  target: T,
) => FailureContext;

/**
 * The same object as seen from outside of the edge. Its identity is another one, its state is shared. A
 * method is called on it, as one of a class is: what was taken off it has no object any more.
 * @param parts properties that have an edge of their own
 */
export function withCodes<T extends object>(
  target: T,
  describe: DescribeFailure<T>,
  parts: Partial<T> = {},
): T {
  return new Proxy(target, new Edge(target, describe, parts));
}

/** Asks an object outside of the edge for its edge. */
const EDGE = Symbol('edge');

/**
 * A host holds tens of thousands of objects of one class: an edge is three references, and its methods are
 * the class's and not each object's own.
 */
class Edge<T extends object> implements ProxyHandler<T> {
  readonly target: T;
  readonly describe: DescribeFailure<T>;
  readonly #parts: Partial<T>;

  constructor(target: T, describe: DescribeFailure<T>, parts: Partial<T>) {
    this.target = target;
    this.describe = describe;
    this.#parts = parts;
  }

  get(_: T, key: PropertyKey): unknown {
    if (key === EDGE) return this;
    if (Object.hasOwn(this.#parts, key)) return this.#parts[key as keyof T];
    // The target itself as receiver: its private fields are not the proxy's.
    const value: unknown = Reflect.get(this.target, key, this.target);
    return typeof value === 'function' ? outside(value as Inside, String(key)) : value;
  }
}

type Inside = (...args: readonly unknown[]) => unknown;
type Outside = (this: object, ...args: readonly unknown[]) => unknown;

const methods = new WeakMap<Inside, Outside>();

/** The method as it is called from outside. */
function outside(inside: Inside, name: string): Outside {
  const known = methods.get(inside);
  if (known !== undefined) return known;
  const made = function (this: object, ...args: readonly unknown[]): unknown {
    const { target, describe } = (this as { readonly [EDGE]: Edge<object> })[EDGE];
    // A snapshot passes through here twice: nothing is made for a failure before there is one.
    try {
      const result: unknown = Reflect.apply(inside, target, args);
      if (typeof result !== 'object' || result === null) return result;
      return guarded(result, () => describe(name, args, target));
    } catch (error) {
      throw coded(error, describe(name, args, target));
    }
  };
  methods.set(inside, made);
  return made;
}

/** Runs `work`; what it throws has a code. @throws GhostsnapError, and bugs as they are */
export async function atEdge<T>(context: () => FailureContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw coded(error, context());
  }
}

/** As `atEdge`. */
export function atEdgeSync<T>(context: () => FailureContext, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw coded(error, context());
  }
}

function coded(error: unknown, context: FailureContext): Error {
  if (error instanceof GhostsnapError) return error;
  if (isUnreadableProgram(error)) {
    return new GhostsnapError(
      'IO',
      `${context.what} failed: a part of the program can't be read.`,
      {
        hint: 'Look at the disk that ghostsnap is installed on, then run the same command again.',
        cause: error,
      },
    );
  }
  return toGhostsnapError(error, { ...context, path: pathNamedBy(error) ?? context.path });
}

/**
 * Node resolves what is loaded on use by looking at files, and takes a failed look for a missing file and a
 * package's description that can't be read for a wrong one.
 */
const UNREADABLE: ReadonlySet<unknown> = new Set([
  'ERR_MODULE_NOT_FOUND',
  'ERR_INVALID_PACKAGE_CONFIG',
]);

function isUnreadableProgram(error: unknown): boolean {
  return error instanceof Error && 'code' in error && UNREADABLE.has(error.code);
}

/** Node's own errors name the path as text, ours as bytes; a name relative to a descriptor says nothing. */
function pathNamedBy(error: unknown): string | null {
  if (errnoOf(error) === '' || !(error instanceof Error)) return null;
  if ('path' in error && typeof error.path === 'string') return rawFromText(error.path);
  const isAbsolute =
    'subject' in error && typeof error.subject === 'string' && error.subject.startsWith('/');
  return isAbsolute ? String(error.subject) : null;
}

function guarded(result: unknown, context: () => FailureContext): unknown {
  if (result instanceof Promise) {
    return result.then(
      (value: unknown) => guardedValue(value, context),
      (error: unknown) => {
        throw coded(error, context());
      },
    );
  }
  return guardedValue(result, context);
}

/** What goes on failing after the method has returned: an iteration, something that is open. */
function guardedValue(value: unknown, context: () => FailureContext): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Symbol.asyncIterator in value) {
    return iterated(value as AsyncIterable<unknown>, context);
  }
  return Symbol.dispose in value ? withCodes<object>(value, context) : value;
}

async function* iterated(
  source: AsyncIterable<unknown>,
  context: () => FailureContext,
): AsyncIterable<unknown> {
  try {
    yield* source;
  } catch (error) {
    throw coded(error, context());
  }
}
