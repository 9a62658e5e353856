/**
 * One seeded story of a cluster: nodes run, die and come back under load while members fail and
 * are replaced; then everything is healed and must come to rest with equal copies, no slot to
 * recover, and every acknowledged write in its place on every node.
 */

import { assert } from "../../../src/common/assert.ts";
import { settle, withRejections } from "../scheduler.ts";
import { ClusterClients } from "./cluster-clients.ts";
import { bitsIn, CLUSTER_GEOMETRY, isEqualOn, rolesOn } from "./cluster-media.ts";
import { ClusterNemesis } from "./cluster-nemesis.ts";
import { ClusterSim } from "./cluster-sim.ts";
import type { NodeLife } from "./node-life.ts";
import { HONEST } from "./planted-faults.ts";
import type { PlantedFault } from "./sim-world.ts";

const { arrayBytes, chunkBytes, chunks } = CLUSTER_GEOMETRY;
/** Longest story, and longest way to rest afterwards, milliseconds of simulated time. */
const STORY_MS_MAX = 60_000;
const REST_MS_MAX = 400_000;
const LOOK_MS = 500;
/** As the product's: whoever was cut off is known to be gone after it. */
const LEASE_MS = 11_000;
/** Lines of the trace that a failure shows. */
const LAST_LINES = 30;

export interface StoryOptions {
  readonly planted?: PlantedFault;
  readonly onTrace?: (line: string) => void;
}

class ClusterStory {
  readonly sim: ClusterSim;
  readonly #clients: ClusterClients;
  readonly #nemesis: ClusterNemesis;
  #broken: unknown = null;

  constructor(seed: number, { planted = HONEST, onTrace }: StoryOptions) {
    this.sim = new ClusterSim(seed, planted);
    this.sim.onTrace = onTrace ?? null;
    this.#clients = new ClusterClients(this.sim);
    this.#nemesis = new ClusterNemesis(this.sim);
  }

  async run(): Promise<void> {
    const told = async (): Promise<void> => {
      await this.#tell();
      await settle();
      this.#check();
    };
    await withRejections(told, (error) => {
      this.#broken ??= error;
    });
  }

  async #tell(): Promise<void> {
    const { sim } = this;
    for (const board of sim.boards)
      sim.timeline.after(sim.prng.below(3000), null, () => sim.boot(board));
    const end = 5000 + sim.prng.below(STORY_MS_MAX);
    await this.#until(() => sim.timeline.now >= end);
    this.#heal();
    await this.#untilRest();
    this.#checkCopies();
    for (const life of sim.up) await this.#wait(this.#clients.verify(life));
    this.#check();
  }

  async #until(isDone: () => boolean): Promise<void> {
    let isSettled = false;
    while (!isDone()) {
      const deaths = this.#deaths();
      await this.sim.timeline.step();
      this.#check();
      const { isResting } = this.sim.storeChecks;
      if (isResting && !isSettled && this.sim.content.isDoubtful) this.#clients.rest();
      isSettled = isResting && !this.sim.content.isDoubtful;
      if (this.#deaths() !== deaths) this.#onPowerCut();
    }
  }

  #deaths(): number {
    return this.sim.counts.get("power cut") ?? 0;
  }

  #onPowerCut(): void {
    this.#clients.cut();
    this.#checkBits();
  }

  async #wait(promise: Promise<void>): Promise<void> {
    let isDone = false;
    void promise.then(() => {
      isDone = true;
    });
    const end = this.sim.timeline.now + REST_MS_MAX;
    await this.#until(() => isDone || this.sim.timeline.now > end);
    assert(isDone, "I18: a read is never answered");
  }

  // --- the end ----------------------------------------------------------------------------------

  #heal(): void {
    const { sim } = this;
    sim.trace(null, "everything heals");
    this.#clients.isOver = true;
    this.#nemesis.isOver = true;
    sim.etcd.isAway = false;
    sim.showAll();
    for (const medium of sim.media) medium.faults = [];
    for (const { life } of sim.boards) {
      if (life === null) continue;
      life.isCutOff = false;
    }
  }

  /** All boards are up, all copies are there, nothing waits. */
  async #untilRest(): Promise<void> {
    const { sim } = this;
    const end = sim.timeline.now + REST_MS_MAX;
    for (let restsSince: number | null = null; ; ) {
      const next = sim.timeline.now + LOOK_MS;
      await this.#until(() => sim.timeline.now >= next);
      for (const board of sim.boards) sim.boot(board);
      const whatWaits = this.#whatWaits();
      restsSince = whatWaits === null ? (restsSince ?? sim.timeline.now) : null;
      if (restsSince !== null && sim.timeline.now - restsSince > LEASE_MS) return;
      if (sim.timeline.now > end) assert(false, `I18: ${whatWaits}`);
    }
  }

  /** Null: nothing; what is missing is asked for. */
  #whatWaits(): string | null {
    const { sim } = this;
    const { up } = sim;
    if (up.length < sim.nodes) return `only ${up.length} nodes of ${sim.nodes} are up`;
    if (up.some(({ frozenUntil }) => frozenUntil > sim.timeline.now)) return "a node is frozen";
    if (this.#nemesis.open > 0) return "a command is never answered";
    if (this.#clients.open > 0) return "a request is never answered";
    if (!sim.storeChecks.isChannelDone) return "a message is not finished";
    for (const { node, driver } of up) {
      const { sync, arrayState } = driver?.status ?? { sync: null, arrayState: "none" };
      if (arrayState === "broken") return `node ${node}: the array is broken`;
      if (sync !== null) return `node ${node}: ${sync.action} never ends`;
    }
    const degraded = this.#makeWhole(up);
    if (degraded !== null) return degraded;
    if (!sim.isSettled) return "a slot is not recovered, or a pass is owed";
    for (const life of up) {
      const waits = this.#waitsOn(life);
      if (waits !== null) return `node ${life.node}: ${waits}`;
    }
    return null;
  }

  #waitsOn({ shared, cluster }: NodeLife): string | null {
    if (shared === null) return "has no array";
    if (!shared.balances) return "reads are not balanced";
    if (shared.isSuspended(0, arrayBytes)) return "a range is suspended";
    const waits = cluster?.view().waits ?? [];
    return waits.length > 0 ? (waits[0] ?? "") : null;
  }

  /** An empty raid slot is filled. */
  #makeWhole(up: readonly NodeLife[]): string | null {
    const { sim } = this;
    const [life] = up;
    const status = life?.driver?.status;
    if (life === undefined || status === undefined) return "nobody is up";
    for (const other of up) {
      const degraded = other.driver?.status.degraded;
      if (degraded !== status.degraded)
        return `nodes ${life.node} and ${other.node} disagree: ${words(life)}; ${words(other)}`;
    }
    if (status.degraded === 0) return null;
    const faulty = status.members.find(({ states }) => states.includes("faulty"));
    const known = new Set(status.members.map(({ path }) => path));
    const newcomer = sim.media.find(({ path }) => !known.has(path));
    if (faulty !== undefined && faulty.path !== null && known.has(faulty.path))
      this.#nemesis.remove(life, faulty.path);
    else if (newcomer !== undefined) this.#nemesis.join(life, "add", newcomer);
    return `degraded: ${words(life)}`;
  }

  // --- checks -----------------------------------------------------------------------------------

  #check(): void {
    if (this.#broken !== null) throw this.#broken;
    assert(this.sim.problem === null, this.sim.problem ?? "");
  }

  /** Nothing is under way: in-sync copies are equal everywhere. */
  #checkCopies(): void {
    const [first, ...others] = rolesOn(this.sim.media).inSync;
    assert(first !== undefined, "an in-sync copy is left");
    assert(others.length + 1 === this.sim.raidDisks, "E: the superblocks lack a member");
    for (const other of others)
      for (let at = 0; at < arrayBytes; at += chunkBytes)
        assert(
          isEqualOn(first.current, other.current, at, chunkBytes),
          `I14: ${first.path} and ${other.path} differ in chunk ${at / chunkBytes}`,
        );
  }

  /** After a power cut: in-sync copies are equal where no slot's bit is set on any of them. */
  #checkBits(): void {
    const { media, nodes } = this.sim;
    const [first, ...others] = rolesOn(media, "durable").inSync;
    if (first === undefined) return;
    const dirty = new Set<number>();
    for (const medium of [first, ...others])
      for (let slot = 0; slot < nodes; slot++)
        for (const chunk of bitsIn(medium.durable, slot)) dirty.add(chunk);
    for (const other of others)
      for (let chunk = 0; chunk < chunks; chunk++) {
        if (dirty.has(chunk)) continue;
        const isEqual = isEqualOn(first.durable, other.durable, chunk * chunkBytes, chunkBytes);
        assert(isEqual, `I14: after a power cut ${other.path} differs in chunk ${chunk}, no bit`);
      }
  }
}

const words = ({ driver }: NodeLife): string =>
  (driver?.status.members ?? []).map(({ path, states }) => `${path} ${states.join("+")}`).join();

/** Runs the story of one seed; throws with what was violated and the last events. */
export const runClusterStory = async (
  seed: number,
  options: StoryOptions = {},
): Promise<ReadonlyMap<string, number>> => {
  const story = new ClusterStory(seed, options);
  try {
    await story.run();
  } catch (error) {
    const last = story.sim.lines.slice(-LAST_LINES).join("\n");
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`seed ${seed}: ${text}\n${last}`, { cause: error });
  }
  return story.sim.counts;
};
