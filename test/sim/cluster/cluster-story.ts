/**
 * One seeded story of a cluster: nodes run, die and come back under load while members fail and
 * are replaced; then everything is healed and must come to rest with equal copies, no slot to
 * recover, and every acknowledged write in its place on every node.
 */

import { assert } from "../../../src/common/assert.ts";
import { settle, withRejections } from "../scheduler.ts";
import { BoardNemesis } from "./board-nemesis.ts";
import { BoardsSim } from "./boards-sim.ts";
import { ClusterClients } from "./cluster-clients.ts";
import { bitsIn, CLUSTER_GEOMETRY, rolesOn } from "./cluster-media.ts";
import { ClusterNemesis } from "./cluster-nemesis.ts";
import { ClusterSim } from "./cluster-sim.ts";
import { openCompletion } from "./lock-checks.ts";
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

/** `shared`: every board has every disk; `boards`: each serves its own to the others. */
export type StoryName = "shared" | "boards";

export interface StoryOptions {
  /** `shared` if left out. */
  readonly story?: StoryName;
  readonly planted?: PlantedFault;
  /** Numbers of moves that do not happen, of a seed that fails: what is left is a shorter story. */
  readonly skipped?: ReadonlySet<number>;
  readonly onTrace?: (line: string) => void;
}

class ClusterStory {
  readonly sim: ClusterSim;
  readonly #clients: ClusterClients;
  readonly #nemesis: ClusterNemesis;
  #broken: unknown = null;

  constructor(seed: number, { story, planted = HONEST, skipped, onTrace }: StoryOptions) {
    const boards = story === "boards" ? new BoardsSim(seed, planted) : null;
    this.sim = boards ?? new ClusterSim(seed, { planted });
    this.sim.onTrace = onTrace ?? null;
    this.#clients = new ClusterClients(this.sim);
    const own = boards === null ? null : new BoardNemesis(boards);
    this.#nemesis = new ClusterNemesis(this.sim, skipped, own);
  }

  /** What was done so far: number and name. */
  get moves(): readonly string[] {
    return this.#nemesis.moves;
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
    await this.#until(() => sim.timeline.now >= end && !sim.isForcing);
    this.#heal();
    await this.#untilRest();
    this.#checkCopies();
    for (const life of sim.up) await this.#wait(this.#clients.verify(life));
    this.#check();
  }

  async #until(isDone: () => boolean): Promise<void> {
    let cuts = this.#cuts();
    let isSettled = false;
    // Of nodes that live there may be writes in doubt for long.
    let lookAt = 0;
    await this.sim.timeline.run(() => {
      this.#check();
      const { isDoubtful } = this.sim.content;
      const { isResting } = this.sim.storeChecks;
      const isDue = isResting && !isSettled && isDoubtful && this.sim.timeline.now >= lookAt;
      if (isDue && !this.#clients.rest()) lookAt = this.sim.timeline.now + LOOK_MS;
      isSettled = isResting && !this.sim.content.isDoubtful;
      if (this.#cuts() !== cuts) this.#onPowerCut();
      cuts = this.#cuts();
      return isDone();
    });
  }

  #cuts(): number {
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
    this.#clients.isOver = true;
    this.#nemesis.isOver = true;
    sim.heal();
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
    const { length: boards } = sim.boards;
    if (up.length < boards) return `only ${up.length} nodes of ${boards} are up`;
    if (up.some(({ frozenUntil }) => frozenUntil > sim.timeline.now)) return "a node is frozen";
    const missing = sim.whatWaits();
    if (missing !== null) return missing;
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
    if (!sim.storeChecks.isResting) return "a slot is not recovered, or a pass is owed";
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

  /** Nothing is under way: in-sync copies are equal everywhere, and each lock call is completed. */
  #checkCopies(): void {
    const { sim } = this;
    const roles = rolesOn(sim.media);
    assert(roles.inSync.length === roles.raidDisks, "E: the superblocks lack a member");
    const difference = sim.copies.difference(roles, "current", 0, arrayBytes);
    assert(difference === null, `I14: ${difference}`);
    for (const { node, cluster } of sim.up) {
      const open = openCompletion(cluster?.view().trace ?? []);
      assert(open === null, `I3: node ${node}: ${open}`);
    }
  }

  /** After a power cut: in-sync copies are equal where no slot's bit is set on any of them. */
  #checkBits(): void {
    const { media, nodes, copies } = this.sim;
    const roles = rolesOn(media, "durable");
    const dirty = new Set<number>();
    for (const medium of roles.inSync)
      for (let slot = 0; slot < nodes; slot++)
        for (const chunk of bitsIn(medium.durable, slot)) dirty.add(chunk);
    for (let chunk = 0; chunk < chunks; chunk++) {
      if (dirty.has(chunk)) continue;
      const difference = copies.difference(roles, "durable", chunk * chunkBytes, chunkBytes);
      assert(
        difference === null,
        `I14: after a power cut, no bit of chunk ${chunk}: ${difference}`,
      );
    }
  }
}

const words = ({ driver }: NodeLife): string =>
  (driver?.status.members ?? []).map(({ path, states }) => `${path} ${states.join("+")}`).join();

/** A story in which something is violated; the message ends with the last events. */
export class StoryFailure extends Error {
  /** What is violated, as the message begins: `I13`. */
  readonly invariant: string;
  /** Moves of the story until then. */
  readonly moves: number;

  constructor(message: string, moves: number, options: ErrorOptions) {
    super(message, options);
    this.moves = moves;
    this.invariant = /^seed \d+: ([A-Z]\d*):/.exec(message)?.[1] ?? "";
  }
}

/** Runs the story of one seed. Errors: StoryFailure. */
export const runClusterStory = async (
  seed: number,
  options: StoryOptions = {},
): Promise<ReadonlyMap<string, number>> => {
  const story = new ClusterStory(seed, options);
  try {
    await story.run();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const last = story.sim.lines.slice(-LAST_LINES).join("\n");
    const { shape, nodes } = story.sim;
    const moves = story.moves.filter((move) => move !== "").join(", ");
    const message = `seed ${seed}: ${text}\n${last}\n${shape.name}, ${nodes} nodes: ${moves}`;
    throw new StoryFailure(message, story.moves.length, { cause: error });
  }
  // What is left of it does nothing any more; a story that failed may do anything.
  for (const medium of story.sim.media) medium.discard();
  return story.sim.counts;
};
