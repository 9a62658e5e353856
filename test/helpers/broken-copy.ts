/** Copies of parts of the product with lines broken, to prove that a test can fail. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert } from "../../src/common/assert.ts";

export interface Break {
  readonly file: string;
  /** Found once in the file. */
  readonly from: string;
  readonly to: string;
}

const SOURCES = join(import.meta.dirname, "..", "..", "src");

/**
 * Copies `parts` of src into the empty `folder`, with the changes made to files of `part`; returns
 * what loads a file of that part.
 */
export const copyBroken = (
  folder: string,
  parts: readonly string[],
  part: string,
  changes: readonly Break[],
): ((file: string) => Promise<Record<string, unknown>>) => {
  for (const each of parts) cpSync(join(SOURCES, each), join(folder, each), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  for (const { file, from, to } of changes) {
    const path = join(folder, part, file);
    const source = readFileSync(path, "utf8");
    const isOnce = source.split(from).length === 2;
    assert(isOnce, `${file} has \`${from}\` not once: adapt the test`);
    writeFileSync(
      path,
      source.replace(from, () => to),
    );
  }
  return async (file) => await import(join(folder, part, file));
};
