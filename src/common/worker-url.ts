/**
 * Finds the entry of a worker thread beside the file that starts it. The compiler rewrites import
 * specifiers but not URLs, so the extension is taken from the caller's own: `.ts` when the sources
 * run, `.js` in the build.
 */
import { assert } from "./assert.ts";

/**
 * URL of `<name>.worker.ts` or `<name>.worker.js`.
 * `name` may lead to another folder (`../workers/io`); `base` is the caller's `import.meta.url`.
 */
export function workerUrl(name: string, base: string): URL {
  const extension = /\.(ts|js)$/.exec(base)?.[0];
  assert(extension !== undefined, `${base} is neither a .ts nor a .js module`);
  return new URL(`./${name}.worker${extension}`, base);
}
