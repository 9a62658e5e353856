/**
 * Makes uvu show every failure. uvu 0.5.6 takes `details` for text and whatever is thrown for an
 * Error: one of ours (common/errors.ts) makes its report throw, which then hides behind the silent
 * end of the suite, and so does the failure of a hook. The text of the module is changed when it is
 * loaded: whatever was thrown goes through `readableError` before it is formatted.
 */
import { registerHooks } from "node:module";
import { inspect } from "node:util";
import { CodedError } from "../../src/common/errors.ts";

const UVU = /\/uvu\/dist\/index\.mjs$/;
const GLOBAL = "SATSUMA_READABLE_ERROR";

/** Text of uvu, and what is put in its place. */
const CHANGES: readonly (readonly [string, string])[] = [
  [
    "function format(name, err, suite = '') {",
    `function format(name, thrown, suite = '') { const err = globalThis.${GLOBAL}(thrown);`,
  ],
  [
    "} finally {\n\t\tstate.__test__ = '';",
    "} catch (err) { errors += format(state.__test__ || 'a `before` hook threw', err, name);" +
      "\n\t} finally {\n\t\tstate.__test__ = '';",
  ],
];

/** What uvu's report needs of an error; the fields of its own assertions among them. */
interface ReadableError {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly details: string | undefined;
  readonly operator?: string;
  readonly actual?: unknown;
  readonly expected?: unknown;
}

/** Anything thrown, with code, remedy and details as text. */
export function readableError(thrown: unknown): ReadableError {
  if (!(thrown instanceof Error)) {
    const message = `threw ${inspect(thrown)}, which is no Error`;
    return { name: "Error", message, stack: `${message}\n`, details: undefined };
  }
  const { name, stack = "", details, ...own } = thrown as Error & { readonly details?: unknown };
  if (!(thrown instanceof CodedError)) {
    const text = typeof details === "string" ? details : undefined;
    return { ...own, name, message: thrown.message, stack, details: text };
  }
  const facts = [
    ...(Object.keys(thrown.details).length === 0 ? [] : [`details: ${inspect(thrown.details)}`]),
    ...(thrown.cause === undefined ? [] : [`cause: ${inspect(thrown.cause)}`]),
  ];
  const message = `${thrown.code}: ${thrown.advice}`;
  return { name, message, stack, details: facts.join("\n") };
}

/** Changes uvu when it is loaded: BEFORE the first test file is imported. */
export function makeErrorsReadable(): void {
  Object.assign(globalThis, { [GLOBAL]: readableError });
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!UVU.test(url) || loaded.source == null) return loaded;
      return { ...loaded, source: changed(String(loaded.source)) };
    },
  });
}

function changed(source: string): string {
  return CHANGES.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`uvu has no ${JSON.stringify(from)} any more`);
    return text.replace(from, () => to);
  }, source);
}
