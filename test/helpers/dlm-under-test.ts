/** The product's DLM, and copies of it with one line broken, for lock-sequence.ts. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callbacksSince } from "../../src/cluster/dlm/lock-callbacks.ts";
import { EMPTY_RESOURCE } from "../../src/cluster/dlm/lock-resource.ts";
import { operate, recall } from "../../src/cluster/dlm/lock-transition.ts";
import { decodeResource, encodeResource } from "../../src/cluster/dlm/resource-codec.ts";
import { assert } from "../../src/common/assert.ts";
import type { DlmUnderTest } from "./lock-sequence.ts";

export const PRODUCT_DLM: DlmUnderTest = {
  operate,
  recall,
  callbacksSince,
  encodeResource,
  decodeResource,
  EMPTY_RESOURCE,
};

export interface Break {
  readonly file: string;
  /** Found once in the file. */
  readonly from: string;
  readonly to: string;
}

const SOURCES = join(import.meta.dirname, "..", "..", "src");
const DLM = join("cluster", "dlm");

/** A DLM with `change` made to its sources, copied into the empty `folder`. */
export const loadBrokenDlm = async (folder: string, change: Break): Promise<DlmUnderTest> => {
  for (const part of ["common", DLM])
    cpSync(join(SOURCES, part), join(folder, part), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const path = join(folder, DLM, change.file);
  const source = readFileSync(path, "utf8");
  const isOnce = source.split(change.from).length === 2;
  assert(isOnce, `${change.file} has \`${change.from}\` not once: adapt the test`);
  writeFileSync(
    path,
    source.replace(change.from, () => change.to),
  );
  const load = async (file: string) => await import(join(folder, DLM, file));
  const [transition, callbacks, codec, resource] = await Promise.all(
    ["lock-transition.ts", "lock-callbacks.ts", "resource-codec.ts", "lock-resource.ts"].map(load),
  );
  return { ...transition, ...callbacks, ...codec, ...resource };
};
