/**
 * Assertions of the program's own invariants: always on, never caught. A failed assertion means the
 * program is wrong, so the thread that fails it dies and its owner sees an event. Bad input and
 * failing hardware are not assertions: see errors.ts.
 */

/** A broken invariant. `name` is `AssertionError`, as Node's own has it. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * Fails the thread unless `condition` is truthy.
 * `message` states the invariant that does not hold, with the numbers that show it.
 * Errors: throws AssertionError.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/**
 * The end of an exhaustive `switch`: the compiler rejects it while a variant is unhandled.
 * Errors: throws AssertionError when a value outside the type arrives after all.
 */
export function assertNever(value: never, what = "variant"): never {
  throw new AssertionError(`unhandled ${what}: ${describe(value)}`);
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  if ("type" in value) return `type ${String(value.type)}`;
  return Object.prototype.toString.call(value);
}
