/** The cluster life of the board as control offers it: with a look at the arrays before it acts. */

import { bareUuid } from "../common/bare-uuid.ts";
import { CodedError } from "../common/errors.ts";
import type { ClusterLife, Departing, LifeStatus, NewToken } from "../life/cluster-life.ts";
import type { DiscoveredBoard, Discovery } from "../life/discovery-driver.ts";
import type { TokenPurpose } from "../life/join-token.ts";
import type { ArrayService } from "./array-service.ts";
import { departureRefusals } from "./departure-decision.ts";
import type { DeviceService } from "./device-service.ts";
import type { Attention } from "./health.ts";
import type { ImpactFacts } from "./impact-types.ts";
import { clusterAttention } from "./life-health.ts";
import type { NodeService } from "./node-service.ts";

/** What the daemon opened. */
export interface LifeParts {
  readonly life: ClusterLife;
  /** Null: boards of the network are not looked for. */
  readonly discovery: Discovery | null;
}

/** What the service asks before it acts. */
export interface LifeServiceOptions {
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly nodes: NodeService;
}

const NOTHING: LifeStatus = { identity: null, sight: null, tokens: [] };

export class LifeService {
  readonly #parts: LifeParts | null;
  readonly #options: LifeServiceOptions;

  /** Without parts there is no cluster, and nothing to be done about it. */
  constructor(parts: LifeParts | null, options: LifeServiceOptions) {
    this.#parts = parts;
    this.#options = options;
    options.nodes.knowCluster(this);
    // It is gone: what it would take with it is lost already, but for a copy that others wait for.
    parts?.life.onReplace((name) => this.#refuseLoss(name, "replaced", true));
  }

  /** Told when this board is to leave its cluster, and when it stays after all. */
  onDeparting(departing: Departing): void {
    this.#parts?.life.onDeparting(departing);
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

  /** Disks of boards that the cluster has no more, evicted or renamed, are devices no more. */
  forgetDevices(): void {
    const known = this.#boards();
    if (known === null) return;
    for (const { record, board, state } of this.#options.devices.list())
      if (board !== null && state === "missing" && !known.has(board))
        this.#options.devices.forgetIfUnclaimed(record.path);
  }

  /** False: the cluster has no board of this name any more. */
  hasBoard(name: string): boolean {
    return this.#boards()?.has(name) ?? true;
  }

  /** Boards of the cluster that this board looks after itself, as told last. */
  get boardNames(): readonly string[] {
    const { sight } = this.status;
    if (!this.isManaged || sight === null || sight.isShutOut) return [];
    return sight.view.records.filter(({ role }) => role === "board").map(({ name }) => name);
  }

  /** Names of the cluster's boards; null: they are not known. */
  #boards(): ReadonlySet<string> | null {
    if (!this.isManaged) return null;
    const { identity, sight } = this.status;
    if (identity === null) return new Set();
    if (sight === null || sight.isShutOut || sight.view.records.length === 0) return null;
    return new Set(sight.view.records.map(({ name }) => name));
  }

  /** Errors: as ClusterLife.create. */
  async create(name: string): Promise<void> {
    await this.#life.create(name);
  }

  /** Errors: as ClusterLife.join. */
  async join(token: string, name: string | null): Promise<void> {
    await this.#life.join(token, name);
  }

  /** Errors: as ClusterLife.leave; CONTROL_CLUSTER_IN_USE, CONTROL_DEPARTURE_REFUSED. */
  async leave(force: boolean): Promise<void> {
    const running = this.#options.arrays
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
    await this.#refuseLoss(this.#options.nodes.here, "taken out", force);
    await this.#life.leave(force);
  }

  /** Errors: as ClusterLife.evict; CONTROL_DEPARTURE_REFUSED. */
  async evict(name: string, force: boolean): Promise<void> {
    const judge = (): Promise<void> => this.#refuseLoss(name, "taken out", force);
    if (name !== this.#options.nodes.here) await judge();
    await this.#life.evict(name, force, judge);
  }

  /** Errors: as ClusterLife.rename; CONTROL_DEPARTURE_REFUSED. */
  async rename(name: string, wanted: string, force: boolean): Promise<void> {
    await this.#refuseLoss(name, "renamed, for which it starts anew", force);
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
      remedy: "see satsuma cluster tokens; what ended more than an hour ago is forgotten",
    });
  }

  /** Boards of the network that told of themselves lately. */
  async discover(): Promise<readonly DiscoveredBoard[]> {
    return (await this.#parts?.discovery?.look()) ?? [];
  }

  /** Errors: CONTROL_DEPARTURE_REFUSED. */
  async #refuseLoss(board: string, what: string, force: boolean): Promise<void> {
    const facts = await this.#options.nodes.facts();
    const unjudged = await this.#unjudged(facts, board, force);
    const all = departureRefusals(facts, board, unjudged);
    // Without a majority nobody reads or writes: nothing is taken from anybody.
    const isLost = this.status.sight?.quorum.state === "lost" && board === facts.here;
    const refusals = all.filter(({ mayForce }) => !(force && (mayForce || isLost)));
    if (refusals.length === 0) return;
    const reasons = refusals.map(({ reason }) => reason);
    const mayForce = refusals.every((refusal) => refusal.mayForce);
    const message = `${board} cannot be ${what}: ${reasons.join("; ")}`;
    throw new CodedError("CONTROL_DEPARTURE_REFUSED", message, {
      remedy: mayForce
        ? "see to that first, or ask with force (--force)"
        : "bring a copy on another board in sync first; or stop the array on all boards (satsuma stop) if what it holds may go",
      details: { reasons, may_force: mayForce },
    });
  }

  /** Arrays that others run with copies on this board. Errors: CLUSTER_STORE_*, unless forced. */
  async #unjudged(
    { here, arrays }: ImpactFacts,
    board: string,
    force: boolean,
  ): Promise<readonly string[]> {
    const { devices } = this.#options;
    if (force) return [];
    const traces = (await this.#parts?.life.traces()) ?? null;
    const held = devices
      .list()
      .filter((view) => (view.board ?? here) === board)
      .flatMap(({ probe }) => probe?.md ?? []);
    const strange = (traces?.arrays ?? []).filter(
      ({ uuid }) => !arrays.some((one) => bareUuid(one.uuid) === bareUuid(uuid)),
    );
    return strange.flatMap(({ uuid, nodes }) => {
      const copy = held.find(({ arrayUuid }) => bareUuid(arrayUuid) === bareUuid(uuid));
      return copy === undefined && !nodes.includes(board) ? [] : [copy?.name ?? uuid];
    });
  }

  get #life(): ClusterLife {
    if (this.#parts !== null) return this.#parts.life;
    throw new CodedError("LIFE_NO_CLUSTER", "this board looks after no cluster", {
      remedy: "start it with satsuma serve",
    });
  }
}
