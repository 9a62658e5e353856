/**
 * The etcd of a demo, kept running: one that ends by itself is started again with its data and on
 * its port, where the boards ask for it. Meanwhile their reads and writes wait.
 */

import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { CodedError } from "../common/errors.ts";
import type { EtcdCredentials } from "./demo-credentials.ts";
import { type EtcdFiles, type EtcdProcess, startEtcd } from "./etcd-process.ts";
import { printText } from "./output.ts";

const RESTART_MS = 500;
/** One that does not come up so often in succession is given up. Choice. */
const STARTS_MAX = 5;

export class KeptEtcd {
  readonly #directory: string;
  readonly #tls: EtcdFiles | null;
  readonly #lost = Promise.withResolvers<string>();
  #etcd: EtcdProcess;
  #isEnding = false;
  /** Told when it runs as another process. */
  #onRestart: () => void = () => undefined;
  readonly #watching: Promise<void>;

  private constructor(directory: string, etcd: EtcdProcess, tls: EtcdFiles | null) {
    this.#directory = directory;
    this.#etcd = etcd;
    this.#tls = tls;
    this.#watching = this.#watch();
  }

  /** `previous`: of the folder's last run. Errors: CLI_NO_ETCD, CLI_ETCD_ENDED. */
  static async start(
    directory: string,
    previous: EtcdCredentials | null,
    tls: EtcdFiles | null = null,
  ): Promise<KeptEtcd> {
    return new KeptEtcd(directory, await startEtcd(directory, previous, { tls }), tls);
  }

  get credentials(): EtcdCredentials {
    return this.#etcd.credentials;
  }

  /** Resolves with the reason when it has ended and does not come up again. */
  get lost(): Promise<string> {
    return this.#lost.promise;
  }

  onRestart(told: () => void): void {
    this.#onRestart = told;
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    await this.#etcd.stop();
    await this.#watching;
    // It may have been starting again just then.
    await this.#etcd.stop();
  }

  async #watch(): Promise<void> {
    while (!this.#isEnding) {
      const why = await this.#etcd.exited;
      if (this.#isEnding) return;
      printText(`etcd ended (${why}), starting it again\n`);
      if (!(await this.#startAgain(why))) return;
      this.#onRestart();
    }
  }

  /** False when it does not come up. */
  async #startAgain(first: string): Promise<boolean> {
    let why = first;
    for (let start = 1; start <= STARTS_MAX && !this.#isEnding; start++) {
      await pause(RESTART_MS);
      try {
        this.#etcd = await startEtcd(this.#directory, this.credentials, {
          keepsPort: true,
          tls: this.#tls,
        });
        return true;
      } catch (error) {
        why = error instanceof CodedError ? error.message : String(error);
      }
    }
    this.#lost.resolve(why);
    return false;
  }
}

/** Boards that meet in the etcd of a demo. */
interface EtcdDemo {
  start(): Promise<void>;
  /** What runs, for people. */
  describe(): string;
  stop(): Promise<void>;
}

/** Runs a demo until `ended`. Errors: CLI_ETCD_ENDED, those of its start. */
export const runWithEtcd = async (
  demo: EtcdDemo,
  etcd: KeptEtcd,
  { directory, ended }: { readonly directory: string; readonly ended: Promise<"signal"> },
): Promise<void> => {
  try {
    const started = demo.start().then(() => "started" as const);
    const first = await Promise.race([started, ended, etcd.lost]);
    if (first === "started") printText(demo.describe());
    const why = await Promise.race([ended, etcd.lost]);
    if (why !== "signal") {
      throw new CodedError("CLI_ETCD_ENDED", `etcd ended and does not come up again (${why})`, {
        remedy: `see ${path.join(directory, "etcd.log")}; start the demo again`,
      });
    }
  } finally {
    await demo.stop();
  }
};
