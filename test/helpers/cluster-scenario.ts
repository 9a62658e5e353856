/**
 * What mdadm's clustermd_tests do on two machines: an array of its own for each scenario, made on
 * node 1 and assembled on node 2, with what a script looks at on both. Beyond mdadm, what was
 * written through either node is known byte by byte.
 */
import type { Callback } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../src/api/schemas/array.ts";
import type { ArrayCreateRequest } from "../../src/api/schemas/array-order.ts";
import { statusLines } from "../../src/cli/status-text.ts";
import { acceptedByMdadm, assertEqualLegs, dirtyBySlot } from "./clustered-members.ts";
import { KnownData } from "./known-data.ts";
import { trySatsuma } from "./satsuma-command.ts";
import { eventually, withTimeout } from "./timeout.ts";
import {
  DISK_BYTES,
  discardNodes,
  NODES,
  type NodeNumber,
  type TwoNodes,
  twoNodes,
} from "./two-nodes.ts";

export const MIB = 1024 * 1024;
const WAIT_MS = 60_000;
const LIMIT_MS = 150_000;
const BITMAP_NODES = 4;
const BITMAP_CHUNK = MIB;

/** The two kinds of scripts: `r1` and `r10`. */
export type ScriptLevel = "raid1" | "raid10";

/** What `mdadm -C` is told of level and layout. */
export const shapeOf = (level: ScriptLevel, layout = "n2") =>
  level === "raid1" ? { level } : { level, layout, chunk_size: 64 * 1024 };

interface CreateOptions extends Partial<Omit<ArrayCreateRequest, "device_ids" | "name">> {
  readonly name?: string;
  /** Syncs stand still after their first window. */
  readonly crawls?: boolean;
}

export interface EndedSync {
  readonly outcome: string;
  readonly scope: string;
  readonly copiedBytes: number;
}

/** Counted over the process: no scenario meets what another one has left. */
let made = 0;

/** A scenario gets the two nodes without an array; what it makes there goes with it. */
export function onTwoNodes<T>(body: (md: ClusterScenario) => Promise<void>): Callback<T> {
  return withTimeout(LIMIT_MS, async () => {
    const nodes = await twoNodes();
    const scenario = new ClusterScenario(nodes, `md${++made}`);
    await scenario.begin();
    try {
      await body(scenario);
      await scenario.noTrouble();
    } catch (error) {
      throw new Error(`${String(error)}\n${await scenario.picture()}`, { cause: error });
    } finally {
      await clear(nodes);
    }
  });
}

const clear = async (nodes: TwoNodes): Promise<void> => {
  try {
    await Promise.all(NODES.map((at) => nodes.node(at).clear()));
  } catch {
    await discardNodes();
  }
};

export class ClusterScenario {
  readonly nodes: TwoNodes;
  name: string;
  readonly #firstEvents = new Map<NodeNumber, number>();
  readonly #data = new KnownData(DISK_BYTES);
  /** Members that this scenario fails: the events of that are no trouble. */
  readonly #failed = new Set<string>();

  constructor(nodes: TwoNodes, name: string) {
    this.nodes = nodes;
    this.name = name;
  }

  async begin(): Promise<void> {
    for (const at of NODES) {
      const [newest] = await this.nodes.node(at).events(0);
      this.#firstEvents.set(at, newest?.id ?? 0);
    }
  }

  // --- mdadm's verbs ----------------------------------------------------------------------------

  /** `mdadm -C` on node 1, exported there; with bits of 1 MiB. */
  async create(disks: readonly string[], options: CreateOptions = {}): Promise<void> {
    const { crawls = false, name = this.name, ...over } = options;
    this.name = name;
    await this.nodes.node(1).ask("POST", "/arrays", {
      name,
      level: "raid1",
      device_ids: disks,
      raid_devices: 2,
      bitmap: "clustered",
      nodes: BITMAP_NODES,
      bitmap_chunk_size: BITMAP_CHUNK,
      ...over,
    });
    await this.nodes.node(1).ask("POST", "/exports", { name, array: name });
    if (!crawls) await this.nodes.node(1).setSpeed(name, "full");
  }

  /** `mdadm -A` on a node that may never have seen the array; exported there. */
  async assemble(at: NodeNumber, disks: readonly string[], crawls = false): Promise<void> {
    const node = this.nodes.node(at);
    const isKnown = (await node.arrays()).some(({ name }) => name === this.name);
    const order = isKnown ? { assemble: this.name } : { import: disks, export: this.name };
    await node.ask("POST", "/arrays", order);
    if (!crawls) await node.setSpeed(this.name, "full");
  }

  /** Both of them, `--assume-clean`: what most scripts begin with. The disks must be blank. */
  async createClean(disks: readonly string[], options: CreateOptions = {}): Promise<void> {
    const { raid_devices: raidDevices = 2 } = options;
    await this.create(disks, { assume_clean: true, ...options });
    await this.assemble(2, disks, options.crawls);
    await this.settled(raidDevices, disks.length - raidDevices);
  }

  /** Stops and assembles it on both nodes: neither has a dirty bit then. */
  async withoutBits(disks: readonly string[]): Promise<void> {
    await Promise.all(NODES.map((at) => this.stop(at)));
    for (const at of NODES) await this.assemble(at, disks);
    await this.settled();
    for (const at of NODES) assert.is((await this.array(at)).status.bitmap?.dirty, 0);
  }

  /** `mdadm -S`. */
  async stop(at: NodeNumber): Promise<void> {
    await this.nodes.node(at).ask("DELETE", `/arrays/${this.name}`, {
      confirm: this.name,
      force: true,
    });
  }

  async add(at: NodeNumber, device: string): Promise<void> {
    await this.nodes.node(at).ask("POST", `/arrays/${this.name}/members`, { device_id: device });
  }

  async fail(at: NodeNumber, device: string): Promise<void> {
    this.#failed.add(device);
    await this.#member(at, "POST", `${device}/actions/fail`);
  }

  async remove(at: NodeNumber, device: string): Promise<void> {
    await this.#member(at, "DELETE", device);
  }

  async reAdd(at: NodeNumber, device: string): Promise<void> {
    await this.#member(at, "POST", `${device}/actions/re-add`);
  }

  #member(at: NodeNumber, method: string, path: string): Promise<unknown> {
    return this.nodes.node(at).ask(method, `/arrays/${this.name}/members/${path}`);
  }

  /** `mdadm --grow`; while a node cannot rest the user asks again, as he is told. */
  async grow(at: NodeNumber, ...flags: string[]): Promise<void> {
    const { dataDir } = this.nodes.node(at);
    const said = await eventually(`grow ${flags.join(" ")}`, WAIT_MS, async () => {
      const { ending, stderr } = await trySatsuma("grow", this.name, ...flags, "--data", dataDir);
      return stderr.includes("CLUSTER_NODE_BUSY") ? undefined : `${ending} ${stderr}`;
    });
    assert.is(said, "0 ");
  }

  /** The same by the API. */
  async change(at: NodeNumber, change: Readonly<Record<string, unknown>>): Promise<void> {
    const said = await this.changeRefused(at, change);
    assert.is(said, "no error");
  }

  /** The code with which a change of the array is refused, once every node can rest. */
  async changeRefused(at: NodeNumber, change: Readonly<Record<string, unknown>>): Promise<string> {
    return await eventually(`an answer to ${JSON.stringify(change)}`, WAIT_MS, async () => {
      const code = await this.nodes.node(at).codeOf("PATCH", `/arrays/${this.name}`, change);
      return code === "CLUSTER_NODE_BUSY" ? undefined : code;
    });
  }

  async setSpeed(at: NodeNumber, speed: "full" | "crawl"): Promise<void> {
    await this.nodes.node(at).setSpeed(this.name, speed);
  }

  // --- what a script looks at -------------------------------------------------------------------

  async array(at: NodeNumber): Promise<ArrayResource> {
    return await this.nodes.node(at).array(this.name);
  }

  /** The array in a node's /proc/mdstat, as `satsuma status` prints it. */
  async mdstat(at: NodeNumber): Promise<string> {
    return statusLines(await this.array(at)).join("\n");
  }

  /** The nodes that run it. */
  async running(): Promise<NodeNumber[]> {
    const states = await Promise.all(
      NODES.map(async (at) => {
        const arrays = await this.nodes.node(at).arrays();
        const found = arrays.find(({ name }) => name === this.name);
        return found !== undefined && found.status.array_state !== "inactive";
      }),
    );
    return NODES.filter((at) => states[at - 1]);
  }

  /** mdadm's `check NODE WORD`. */
  async shows(at: NodeNumber, words: string | RegExp): Promise<void> {
    let seen = "";
    await eventually(`node ${at} shows ${words}`, WAIT_MS, async () => {
      seen = await this.mdstat(at);
      if (typeof words === "string" ? seen.includes(words) : words.test(seen)) return true;
      throw new Error(seen);
    });
  }

  /** The node on which this sync action runs; the others wait for it. */
  async syncs(action: "resync" | "recover"): Promise<NodeNumber> {
    return await eventually(`a ${action} runs`, WAIT_MS, async () => {
      for (const node of NODES) {
        const { status } = await this.array(node);
        if (status.sync?.action === action) return node;
      }
      return undefined;
    });
  }

  /**
   * mdadm's `check all wait`, `nosync`, `state UU`, `bitmap` and `spares N`: on every node that
   * runs the array nothing is to be synced, all raid slots are in sync, and all know each other.
   */
  async settled(raidDevices = 2, spares = 0): Promise<void> {
    const nodes = await this.running();
    assert.ok(nodes.length > 0, "a node runs the array");
    for (const at of nodes) {
      await eventually(`node ${at} is at rest`, WAIT_MS, async () => {
        const array = await this.array(at);
        const why = unrest(array, raidDevices, spares, nodes.length);
        if (why === null) return true;
        throw new Error(`${why}:\n${statusLines(array).join("\n")}`);
      });
    }
  }

  /** States of the members that have a path, by device, as a node sees them. */
  async members(at: NodeNumber): Promise<Readonly<Record<string, string>>> {
    const { status } = await this.array(at);
    const named = status.members.flatMap(({ device_id, states }) =>
      device_id === null ? [] : [[device_id, states.join("+")] as const],
    );
    return Object.fromEntries(named);
  }

  /** Sync actions of a kind that ended on a node, the newest first. */
  async ended(at: NodeNumber, action: "resync" | "recover" | "check"): Promise<EndedSync[]> {
    const events = await this.nodes.node(at).events(this.#firstEvents.get(at) ?? 0);
    return events
      .filter(({ type, data }) => type === "sync.finished" && data["action"] === action)
      .map(({ data }) => ({
        outcome: String(data["outcome"]),
        scope: String(data["scope"]),
        copiedBytes: Number(data["copied_bytes"]),
      }));
  }

  /** mdadm's `check all dmesg`: no node tells of anything bad but what the scenario did itself. */
  async noTrouble(): Promise<void> {
    for (const at of NODES) {
      const events = await this.nodes.node(at).events(this.#firstEvents.get(at) ?? 0);
      const bad = events.filter(
        ({ type, severity, message }) =>
          severity === "critical" &&
          !(type === "member.failed" && [...this.#failed].some((name) => message.includes(name))),
      );
      assert.equal(
        bad.map(({ type, message }) => `${type}: ${message}`),
        [],
        `node ${at}`,
      );
    }
  }

  /** What both nodes show, for the reader of a failed test. */
  async picture(): Promise<string> {
    const shown = NODES.map(async (at) => {
      const text = await this.mdstat(at).catch(String);
      const events = await this.nodes
        .node(at)
        .events(this.#firstEvents.get(at) ?? 0)
        .catch(() => []);
      const lines = events.map(({ time, type, message }) => `${time} ${type}: ${message}`);
      return [`--- node ${at}`, text, ...lines.reverse()].join("\n");
    });
    return (await Promise.all(shown)).join("\n");
  }

  // --- data -------------------------------------------------------------------------------------

  /** Random bytes through a node, durable when answered, and known from then on. */
  async write(at: NodeNumber, offset: number, length: number): Promise<void> {
    const client = await this.nodes.node(at).attach(this.name);
    await this.#data.write(client, offset, length);
    client.close();
  }

  /** Every node that runs the array reads what was written, through whichever node. */
  async verify(): Promise<void> {
    for (const at of await this.running()) {
      const client = await this.nodes.node(at).attach(this.name);
      await this.#data.verify(client, `node ${at}`);
      client.close();
    }
  }

  /**
   * Stops the array on every node; then mdadm accepts each member, no node has left a bit behind,
   * each in-sync one holds what was written, and all of them are equal byte by byte. The copies of
   * the scripts' layouts lie at the same places of every member.
   */
  async end(inSync: readonly string[], spares: readonly string[] = []): Promise<void> {
    await Promise.all((await this.running()).map((at) => this.stop(at)));
    const pathOf = (name: string): string => this.nodes.diskPath(name);
    for (const path of [...inSync, ...spares].map(pathOf)) {
      await acceptedByMdadm(path, inSync.length);
    }
    assertEqualLegs(inSync.map(pathOf), (data, leg) => {
      assert.equal(dirtyBySlot(leg), Array(BITMAP_NODES).fill(0), `${leg} has no dirty bit`);
      this.#data.verifyLeg(data, leg);
    });
  }
}

/** Why a node is not at rest with all raid slots in sync; null when it is. */
const unrest = (
  array: ArrayResource,
  raidDevices: number,
  spares: number,
  nodes: number,
): string | null => {
  const { config, status } = array;
  const text = statusLines(array).join("\n");
  const whole = `[${raidDevices}/${raidDevices}] [${"U".repeat(raidDevices)}]`;
  if (!text.includes(whole)) return `not ${whole}`;
  if (status.sync !== null || status.health !== "optimal") return "something is synced";
  if (text.split("(S)").length - 1 !== spares) return `not ${spares} spares`;
  if (config.bitmap.type !== "clustered" || config.bitmap.nodes !== BITMAP_NODES)
    return "another bitmap";
  const { cluster } = status;
  if (cluster === null || cluster.phase !== "entered") return "in no cluster";
  if (cluster.resync !== null || cluster.remote.length > 0) return "another node syncs";
  if (!cluster.balances_reads) return "reads are not balanced";
  return cluster.nodes.length === nodes ? null : `not ${nodes} nodes`;
};
