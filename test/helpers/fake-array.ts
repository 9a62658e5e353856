/** A running array of the fake engine: a status in memory that refuses as the real one does. */
import { statSync } from "node:fs";
import type { ClusterView } from "../../src/cluster/node/cluster-view.ts";
import { CodedError } from "../../src/common/errors.ts";
import type { AddOptions, RunningArray, SyncSpeed } from "../../src/control/engine.ts";
import type { ArrayChange } from "../../src/raid/array-change.ts";
import type {
  ArrayHappening,
  ArrayStatus,
  MemberStateWord,
  MemberStatus,
} from "../../src/raid/array-status.ts";
import { emptySlot, type FakeHost, fakeMember, fakeSync, judged } from "./fake-status.ts";

/** What a fake member keeps for metadata, bytes. */
export const MEMBER_OVERHEAD = 1024 * 1024;

const refuse = (code: string, message: string, remedy: string): CodedError =>
  new CodedError(code, message, { remedy });

export class FakeArray implements RunningArray {
  readonly uuid: string;
  status: ArrayStatus;
  readonly calls: string[] = [];
  view: ClusterView | null = null;
  /** Why no device is re-added. */
  refusesReAdd: string | null = null;
  writeHolds = { byRange: 0, byGate: 0, held: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 };
  /** True: a lost member is the last one in sync, and stays in use. */
  keepsLast = false;
  readonly #engine: FakeHost;
  #hasBadBlockLists = true;

  constructor(engine: FakeHost, status: ArrayStatus) {
    this.#engine = engine;
    this.uuid = status.uuid;
    this.status = status;
  }

  /** Publishes a changed status, as the array thread would. */
  show(change: Partial<ArrayStatus>): void {
    this.status = { ...this.status, ...change };
    this.#engine.publish(this.uuid, this.status);
  }

  happen(happening: Partial<ArrayHappening> & Pick<ArrayHappening, "type">): void {
    const event = { severity: "info", time: 5000, message: happening.type, details: {} } as const;
    this.#engine.announce(this.uuid, { ...event, ...happening });
  }

  async clusterView(): Promise<ClusterView | null> {
    return this.view;
  }

  async fail(path: string): Promise<void> {
    const member = this.#member(path);
    const copies = this.status.members.filter((other) => other.states.includes("in_sync"));
    if (copies.length === 1 && copies[0] === member) {
      throw refuse(
        "RAID_LAST_IN_SYNC_MEMBER",
        `${path} is the last in-sync member`,
        "rebuild another member first",
      );
    }
    this.#replace(path, { states: ["faulty"], faultReason: "failed by request" });
    this.happen({ type: "member.failed", severity: "warning", message: `${path} failed` });
  }

  async remove(path: string): Promise<void> {
    const member = this.#member(path);
    if (!member.states.includes("faulty") && !this.#isSpare(member)) {
      throw refuse("RAID_MEMBER_NOT_FAULTY", `${path} is in use`, "fail it first");
    }
    this.#judge(this.status.members.filter((other) => other !== member));
  }

  async add(path: string, options: AddOptions): Promise<void> {
    const room = statSync(path).size - MEMBER_OVERHEAD;
    if (room < this.status.memberBytes) {
      throw refuse(
        "RAID_DEVICE_TOO_SMALL",
        `${path} leaves ${room} bytes for data, ${this.status.memberBytes} are needed`,
        "add a larger device",
      );
    }
    this.#engine.hold(path, { md: this.#engine.superblock(this.status, path) });
    const slot = this.#freeSlot();
    const states: MemberStateWord[] = [
      "spare",
      ...(slot === null ? [] : (["rebuilding"] as const)),
      ...(options.writeMostly === true ? (["writemostly"] as const) : []),
      ...(options.failfast === true ? (["failfast"] as const) : []),
    ];
    this.#judge([
      ...this.status.members.filter(({ raidSlot, path: own }) => own !== null || raidSlot !== slot),
      fakeMember(path, slot ?? this.status.members.length, states),
    ]);
  }

  async reAdd(path: string): Promise<void> {
    if (this.refusesReAdd !== null)
      throw refuse("RAID_RE_ADD_REFUSED", this.refusesReAdd, "add it");
    if (this.#engine.contents.get(path)?.md?.arrayUuid !== this.uuid) {
      throw refuse("RAID_RE_ADD_REFUSED", `${path} was never here`, "add it");
    }
    this.#judge([...this.status.members, fakeMember(path, 1, ["in_sync"])]);
  }

  async replace(path: string, withPath: string | null): Promise<void> {
    const member = this.#member(path);
    if (!member.states.includes("in_sync")) {
      throw refuse("RAID_MEMBER_NOT_IN_SYNC", `${path} is not in sync`, "add a spare instead");
    }
    if (member.states.includes("want_replacement")) {
      throw refuse("RAID_MEMBER_BUSY", `${path} is being replaced already`, "wait for it");
    }
    const spares = this.status.members.filter((other) => this.#isSpare(other));
    const spare = spares.find((other) => withPath === null || other.path === withPath);
    if (withPath !== null && spare === undefined) {
      throw refuse("RAID_NOT_A_SPARE", `${withPath} is not a spare`, "add it first");
    }
    this.#judge(
      this.status.members.map((other) => {
        if (other === member) return { ...other, states: [...other.states, "want_replacement"] };
        if (other !== spare) return other;
        const { raidSlot } = member;
        return { ...other, raidSlot, recoveryOffset: 0, states: ["replacement", "rebuilding"] };
      }),
    );
    this.happen({ type: "member.replacing", message: `${path} is being replaced` });
  }

  async setMemberFlags(
    path: string,
    flags: { readonly writeMostly?: boolean; readonly failfast?: boolean },
  ): Promise<void> {
    const member = this.#member(path);
    if (member.states.includes("faulty")) {
      throw refuse("RAID_MEMBER_FAULTY", `${path} is faulty; its flags are not kept`, "remove it");
    }
    const words = { writemostly: flags.writeMostly, failfast: flags.failfast } as const;
    let states = [...member.states];
    for (const [word, value] of Object.entries(words) as [MemberStateWord, boolean?][]) {
      if (value === undefined) continue;
      states = states.filter((state) => state !== word);
      if (value) states.push(word);
    }
    this.#replace(path, { states });
  }

  async setSyncAction(
    action: "idle" | "check" | "repair" | "frozen",
    range?: { readonly from: number; readonly to: number | null },
  ): Promise<void> {
    this.calls.push(`action ${action}${range === undefined ? "" : ` ${range.from}-${range.to}`}`);
    if (action === "check" || action === "repair") {
      this.show({ sync: fakeSync({ action, startedAt: this.#engine.tick() }) });
    } else if (this.status.sync !== null) {
      this.happen({ type: "sync.finished", details: { outcome: "cancelled" } });
      this.show({ sync: null });
    }
  }

  async change(change: ArrayChange): Promise<void> {
    this.calls.push(`change ${change.type}`);
    this.#engine.failIfAsked("change");
    switch (change.type) {
      case "size":
        return this.#resize(change.sizeBytes);
      case "raid-devices":
        return this.#setRaidDevices(change.count);
      case "bitmap":
        return this.#setBitmap(change);
      case "name":
        return this.show({ name: change.name });
      case "home-cluster":
        return this.show({ bitmap: { ...this.status.bitmap, clusterName: change.clusterName } });
      case "bad-block-list":
        this.#hasBadBlockLists = change.enabled;
        return;
      case "nodes":
        return this.show({ bitmap: { ...this.status.bitmap, nodes: change.nodes } });
      default:
        throw refuse("RAID_CHANGE_UNSUPPORTED", `${change.type} is not faked`, "do without");
    }
  }

  async setSyncSpeed(speed: SyncSpeed): Promise<void> {
    this.calls.push(`speed ${speed.min} ${speed.max}`);
    this.show({ syncSpeedMin: speed.min, syncSpeedMax: speed.max });
  }

  async memberVanished(path: string, reason: string): Promise<void> {
    this.calls.push(`vanished ${path}: ${reason}`);
    if (this.keepsLast) return;
    this.#replace(path, { states: ["faulty"], faultReason: reason });
    this.happen({ type: "member.failed", severity: "warning", message: reason });
  }

  async stop(): Promise<void> {
    this.calls.push("stop");
    this.#engine.ended(this.status);
  }

  #isSpare(member: MemberStatus): boolean {
    return member.states.includes("spare") && !member.states.includes("rebuilding");
  }

  /** A raid slot that nobody holds or is rebuilt into. */
  #freeSlot(): number | null {
    const held = new Set(
      this.status.members.map(({ path, raidSlot }) => (path === null ? null : raidSlot)),
    );
    const slots = Array.from({ length: this.status.raidDevices }, (_, slot) => slot);
    return slots.find((slot) => !held.has(slot)) ?? null;
  }

  #resize(wanted: number | "max"): void {
    const { memberBytes, sizeBytes, members } = this.status;
    const paths = members.flatMap(({ path }) => path ?? []);
    const room = Math.min(...paths.map((path) => statSync(path).size)) - MEMBER_OVERHEAD;
    const next = wanted === "max" ? room : wanted;
    if (next < memberBytes) {
      throw refuse(
        "RAID_SHRINK_REFUSED",
        `${next} bytes of each member are less than ${memberBytes}`,
        "make a smaller array and copy",
      );
    }
    if (next > room) {
      throw refuse("RAID_MEMBER_TOO_SMALL", `a member has ${room} bytes`, "replace it first");
    }
    this.show({ memberBytes: next, sizeBytes: sizeBytes + (next - memberBytes) });
  }

  #setRaidDevices(count: number): void {
    const { level, members } = this.status;
    if (level !== "raid1") {
      throw refuse(
        "RAID_CHANGE_UNSUPPORTED",
        "only a raid1 changes its raid devices",
        "make a new array",
      );
    }
    const held = members.filter(({ raidSlot, path }) => raidSlot !== null && path !== null);
    if (held.length > count) {
      throw refuse(
        "RAID_SLOTS_IN_USE",
        `${held.length} raid slots are in use`,
        "fail and remove members first",
      );
    }
    const raidDevices = count;
    const kept = members.filter(({ path }) => path !== null);
    const taken = new Set(kept.map(({ raidSlot }) => raidSlot));
    const slots = Array.from({ length: count }, (_, slot) => slot);
    const empty = slots.filter((slot) => !taken.has(slot)).map(emptySlot);
    const next = { ...this.status, raidDevices };
    this.show({ raidDevices, ...judged(next, [...kept, ...empty]) });
  }

  #setBitmap(change: Extract<ArrayChange, { type: "bitmap" }>): void {
    const { level, layout, bitmap } = this.status;
    if (change.bitmap === "clustered" && level === "raid10" && !/^near=/.test(layout ?? "")) {
      throw refuse("RAID_BAD_CLUSTER", `a clustered raid10 has near copies only`, "use no cluster");
    }
    if (change.bitmap === "clustered" && this.#hasBadBlockLists) {
      throw refuse("RAID_BAD_CLUSTER", "a clustered array keeps no bad-block lists", "drop them");
    }
    this.show({
      consistencyPolicy: change.bitmap === "none" ? "resync" : "bitmap",
      bitmap: {
        ...bitmap,
        type: change.bitmap,
        chunkBytes:
          change.bitmap === "none" ? 0 : (change.chunkBytes ?? (bitmap.chunkBytes || 65536)),
        nodes: change.nodes,
        clusterName: change.clusterName,
      },
    });
  }

  #member(path: string): MemberStatus {
    const member = this.status.members.find((candidate) => candidate.path === path);
    if (member === undefined) throw new Error(`${path} is no member of ${this.uuid}`);
    return member;
  }

  #replace(path: string, change: Partial<MemberStatus>): void {
    this.#judge(
      this.status.members.map((member) =>
        member.path === path ? { ...member, ...change } : member,
      ),
    );
  }

  #judge(members: readonly MemberStatus[]): void {
    this.show({ ...judged(this.status, members), events: this.status.events + 1 });
  }
}
