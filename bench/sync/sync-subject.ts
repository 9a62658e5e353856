/** One array, made anew for each sync action, and two plain files for the commands beside it. */
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "../../test/helpers/command.ts";
import { BenchBoard, METADATA_BYTES, RAID1_X2 } from "../bench-board.ts";
import { setPageCache } from "../page-cache.ts";
import { makePattern, overwrite } from "../pattern.ts";
import type { SyncRow, SyncWork } from "./sync-rows.ts";

const ARRAY = "bench";
const LIMIT_MS = 600_000;

/** Seconds that the work takes until it is durable. */
async function timeDurable(files: readonly string[], work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  await runCommand("sync", ["--data", ...files], LIMIT_MS);
  return (performance.now() - began) / 1000;
}

export class SyncSubject {
  readonly #board: BenchBoard;
  readonly #sizeBytes: number;
  readonly #plain: readonly string[];
  readonly #other: string;
  #legs: readonly string[] = [];

  constructor(folder: string, sizeBytes: number) {
    this.#board = new BenchBoard(join(folder, "data"), { isSyncHeld: true });
    this.#sizeBytes = sizeBytes;
    mkdirSync(join(folder, "plain"));
    this.#plain = [join(folder, "plain", "0"), join(folder, "plain", "1")];
    this.#other = join(folder, "plain", "other");
  }

  /** Starts the daemon and makes an array of random data, and plain files of the same size. */
  async start(): Promise<void> {
    const [first = "", second = ""] = this.#plain;
    await this.#board.start();
    await makePattern(first, this.#sizeBytes);
    copyFileSync(first, second);
    // As long as a leg, so that it covers the data wherever that begins.
    await makePattern(this.#other, this.#sizeBytes + METADATA_BYTES);
    this.#legs = await this.#board.makeDisks(ARRAY, RAID1_X2, this.#sizeBytes);
    await this.#make({ isClean: true });
    const uri = this.#board.uri(ARRAY, "unix");
    await runCommand("nbdcopy", ["--flush", first, uri], LIMIT_MS);
  }

  async stop(): Promise<void> {
    await this.#board.stop();
  }

  /** MiB/s of one whole sync action. */
  async measureSync({ work, cache }: SyncRow): Promise<number> {
    await this.#prepare(work);
    await setPageCache(this.#legs, cache);
    const before = await this.#board.lastSyncEnd();
    const seconds = await timeDurable(this.#legs, async () => {
      await this.#board.liftSyncLimits(ARRAY);
      if (work === "check") await this.#board.setSync(ARRAY, { action: "check" });
      await this.#board.untilSyncEnds(ARRAY, before);
    });
    await this.#board.untilSynced(ARRAY);
    return this.#sizeBytes / 2 ** 20 / seconds;
  }

  /** MiB/s of the plain command: a copy of one file over another, or their comparison. */
  async measurePlain({ peer, cache }: SyncRow): Promise<number> {
    const [first = "", second = ""] = this.#plain;
    await setPageCache(this.#plain, cache);
    const seconds = await timeDurable(this.#plain, async () => {
      if (peer === "copy") await overwrite(first, second);
      else await runCommand("cmp", [first, second], LIMIT_MS);
    });
    return this.#sizeBytes / 2 ** 20 / seconds;
  }

  /** Compares the copies. Errors: when they differ, so that what was measured was no sync. */
  async verify(): Promise<void> {
    const before = await this.#board.lastSyncEnd();
    await this.#board.liftSyncLimits(ARRAY);
    await this.#board.setSync(ARRAY, { action: "check" });
    await this.#board.untilSyncEnds(ARRAY, before);
    const { status } = await this.#board.array(ARRAY);
    if (status.mismatch_count > 0) throw new Error("the copies differ after the sync actions");
  }

  /** An array with the work ahead of it, held back after a MiB or two until the clock runs. */
  async #prepare(work: SyncWork): Promise<void> {
    if (work === "check") return;
    const [, second = ""] = this.#legs;
    await this.#board.forgetArray(ARRAY);
    if (work !== "resync-equal") await overwrite(this.#other, second);
    const isRecovery = work === "recover";
    await this.#make({ isClean: isRecovery, isLastMissing: isRecovery });
    if (isRecovery) {
      const member = { device_id: `${ARRAY}-1`, force: true };
      await this.#board.serve.request("POST", `/arrays/${ARRAY}/members`, member);
    }
    await this.#board.untilSyncRuns(ARRAY);
  }

  async #make(order: { readonly isClean: boolean; readonly isLastMissing?: boolean }) {
    await this.#board.makeArray(ARRAY, RAID1_X2, { ...order, memberBytes: this.#sizeBytes });
  }
}
