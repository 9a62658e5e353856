/** Sets the page cache of files to a known state; without it ratios mean nothing. */
import { runCommand } from "../test/helpers/command.ts";

/** State of files in the page cache when a job begins: read in whole, or dropped. */
export type CacheState = "hot" | "evicted";

const LIMIT_MS = 120_000;

/** Writes back what is dirty, then reads the files in whole (hot) or drops them (evicted). */
export async function setPageCache(files: readonly string[], state: CacheState): Promise<void> {
  await runCommand("sync", [], LIMIT_MS);
  for (const file of files) {
    if (state === "hot") await runCommand("dd", [`if=${file}`, "of=/dev/null", "bs=1M"], LIMIT_MS);
    else await runCommand("dd", [`if=${file}`, "iflag=nocache", "count=0"], LIMIT_MS);
  }
}
