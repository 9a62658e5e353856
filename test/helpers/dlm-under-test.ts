/** The product's DLM, and copies of it with one line broken, for lock-sequence.ts. */
import { join } from "node:path";
import { callbacksSince } from "../../src/cluster/dlm/lock-callbacks.ts";
import { EMPTY_RESOURCE } from "../../src/cluster/dlm/lock-resource.ts";
import { operate, recall } from "../../src/cluster/dlm/lock-transition.ts";
import { decodeResource, encodeResource } from "../../src/cluster/dlm/resource-codec.ts";
import { type Break, copyBroken } from "./broken-copy.ts";
import type { DlmUnderTest } from "./lock-sequence.ts";

export const PRODUCT_DLM: DlmUnderTest = {
  operate,
  recall,
  callbacksSince,
  encodeResource,
  decodeResource,
  EMPTY_RESOURCE,
};

const DLM = join("cluster", "dlm");

/** A DLM with `change` made to its sources, copied into the empty `folder`. */
export const loadBrokenDlm = async (folder: string, change: Break): Promise<DlmUnderTest> => {
  const load = copyBroken(folder, ["common", DLM], DLM, [change]);
  const [transition, callbacks, codec, resource] = await Promise.all(
    ["lock-transition.ts", "lock-callbacks.ts", "resource-codec.ts", "lock-resource.ts"].map(load),
  );
  return { ...transition, ...callbacks, ...codec, ...resource } as unknown as DlmUnderTest;
};
