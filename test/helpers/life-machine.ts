/** A machine's cluster life with its own data folder, starting anew as the daemon does. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { silentLogger } from "../../src/common/log.ts";
import { ClusterLife } from "../../src/life/cluster-life.ts";
import type { Role } from "../../src/life/join-token.ts";
import type { LifeEvent } from "../../src/life/keeper-driver.ts";

export interface MachineSettings {
  readonly role?: Role;
  readonly graceMs?: number;
  readonly quotaBytes?: number;
}

export class LifeMachine {
  readonly name: string;
  readonly folder: string;
  readonly events: LifeEvent[] = [];
  readonly #settings: MachineSettings;
  #life: ClusterLife | null = null;
  /** Added to the machine's wall clock, milliseconds. */
  clockError = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(name: string, settings: MachineSettings = {}) {
    this.name = name;
    this.#settings = settings;
    this.folder = mkdtempSync(path.join(tmpdir(), `life-${name}-`));
  }

  get life(): ClusterLife {
    if (this.#life === null) throw new Error(`${this.name} is off`);
    return this.#life;
  }

  async on(): Promise<void> {
    this.#life = await ClusterLife.open({
      dataDirectory: this.folder,
      role: this.#settings.role ?? "board",
      name: this.name,
      host: "127.0.0.1",
      version: "0.0.0",
      isConfigured: false,
      graceMs: this.#settings.graceMs ?? 120_000,
      quotaBytes: this.#settings.quotaBytes ?? 64 * 1024 * 1024,
      // Other tests load the disk as well.
      fsyncLimitMs: 10_000,
      now: () => Date.now() + this.clockError,
      logger: silentLogger,
      onEvent: (event) => void this.events.push(event),
      onRestart: () => {
        this.#turn = this.#turn.then(() => this.#restart());
      },
    });
  }

  /** Resolves when it has started anew, if it was about to. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  async off(): Promise<void> {
    await this.settled();
    await this.#life?.close(false);
    this.#life = null;
  }

  /** As if the power went: its etcd is killed, and nobody says goodbye. */
  async die(): Promise<void> {
    const life = this.#life;
    this.#life = null;
    this.killEtcd();
    await life?.close(false);
  }

  killEtcd(): void {
    const pid = this.etcdPid;
    if (pid !== null) process.kill(pid, "SIGKILL");
  }

  get etcdPid(): number | null {
    try {
      return Number(readFileSync(path.join(this.folder, "cluster", "etcd.pid"), "utf8"));
    } catch {
      return null;
    }
  }

  /** Voters as this machine sees them, by the names of their boards. */
  get voters(): readonly string[] {
    const sight = this.#life?.status.sight ?? null;
    if (sight === null) return [];
    const { etcd, view } = sight;
    return etcd.members
      .filter(({ isLearner, status }) => !isLearner && status !== null)
      .map(({ name }) => view.records.find(({ id }) => name === `satsuma-${id}`)?.name ?? "?")
      .sort();
  }

  async remove(): Promise<void> {
    await this.off();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #restart(): Promise<void> {
    await this.#life?.close(true);
    await this.on();
  }
}
