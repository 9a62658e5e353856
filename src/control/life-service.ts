/** The cluster life of the board as control offers it: with a look at the arrays before it acts. */

import { CodedError } from "../common/errors.ts";
import type { ClusterLife, LifeStatus, NewToken } from "../life/cluster-life.ts";
import type { DiscoveredBoard, Discovery } from "../life/discovery-driver.ts";
import type { TokenPurpose } from "../life/join-token.ts";
import type { ArrayService } from "./array-service.ts";
import type { Attention } from "./health.ts";
import { clusterAttention } from "./life-health.ts";

/** What the daemon opened. */
export interface LifeParts {
  readonly life: ClusterLife;
  /** Null: boards of the network are not looked for. */
  readonly discovery: Discovery | null;
}

const NOTHING: LifeStatus = { identity: null, sight: null, tokens: [] };

export class LifeService {
  readonly #parts: LifeParts | null;
  readonly #arrays: ArrayService;

  /** Without parts there is no cluster, and nothing to be done about it. */
  constructor(parts: LifeParts | null, arrays: ArrayService) {
    this.#parts = parts;
    this.#arrays = arrays;
  }

  get status(): LifeStatus {
    return this.#parts?.life.status ?? NOTHING;
  }

  /** SHA-256 of the CA's certificate; null: in no cluster that it looks after. */
  get fingerprint(): string | null {
    return this.#parts?.life.fingerprint ?? null;
  }

  /** Serial numbers of certificates that are good for nothing any more. */
  get refused(): readonly string[] {
    return this.status.sight?.view.refused.map(({ serial }) => serial) ?? [];
  }

  /** The board looks after its cluster itself, or could. */
  get isManaged(): boolean {
    return this.#parts !== null && !this.#parts.life.isConfigured;
  }

  attention(): readonly Attention[] {
    return clusterAttention(this.status);
  }

  /** Errors: as ClusterLife.create. */
  async create(name: string): Promise<void> {
    await this.#life.create(name);
  }

  /** Errors: as ClusterLife.join. */
  async join(token: string, name: string | null): Promise<void> {
    await this.#life.join(token, name);
  }

  /** Errors: as ClusterLife.leave; CONTROL_CLUSTER_IN_USE. */
  async leave(force: boolean): Promise<void> {
    const running = this.#arrays
      .list()
      .filter(({ isRunning, status }) => isRunning && status?.bitmap.type === "clustered")
      .map(({ record }) => record.name);
    if (running.length > 0 && !force) {
      const names = running.join(", ");
      throw new CodedError("CONTROL_CLUSTER_IN_USE", `${names} runs here in the cluster`, {
        remedy: "stop what runs here first (satsuma stop), or leave with --force",
        details: { arrays: running },
      });
    }
    await this.#life.leave(force);
  }

  /** Errors: as ClusterLife.evict. */
  async evict(name: string, force: boolean): Promise<void> {
    await this.#life.evict(name, force);
  }

  /** Errors: as ClusterLife.rename. */
  async rename(name: string, wanted: string): Promise<void> {
    await this.#life.rename(name, wanted);
  }

  /** Errors: as ClusterLife.createToken. */
  createToken(purpose: TokenPurpose): NewToken {
    return this.#life.createToken(purpose);
  }

  /** Errors: LIFE_NO_SUCH_TOKEN. */
  removeToken(id: string): void {
    if (this.#life.removeToken(id)) return;
    throw new CodedError("LIFE_NO_SUCH_TOKEN", `there is no join token ${id}`, {
      remedy: "see satsuma cluster tokens",
    });
  }

  /** Boards of the network that told of themselves lately. */
  async discover(): Promise<readonly DiscoveredBoard[]> {
    return (await this.#parts?.discovery?.look()) ?? [];
  }

  get #life(): ClusterLife {
    if (this.#parts !== null) return this.#parts.life;
    throw new CodedError("LIFE_NO_CLUSTER", "this board looks after no cluster", {
      remedy: "start it with satsuma serve",
    });
  }
}
