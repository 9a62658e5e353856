/** Tests that need the guest kernel. */
import type { Test } from "uvu";
import { type Register, skipWhen } from "../helpers/skip.ts";
import { whyNoKernel } from "./kernel.ts";

/**
 * `test` where a guest kernel boots; else a stand-in that skips with the reason (or, with CI=true,
 * fails).
 * `tooled` is what `skipUnless(["linux.uml", "mdadm"], test)` returned.
 */
export async function needsKernel<T>(tooled: Register<T>, test: Test<T>): Promise<Register<T>> {
  if (tooled !== test) return tooled;
  const reason = await whyNoKernel();
  if (reason === undefined || process.env["CI"] !== "true") return skipWhen(reason, test);
  return (name) =>
    test(name, () => {
      throw new Error(reason);
    });
}
