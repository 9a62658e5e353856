/** Statuses of fake arrays, members and syncs with every field defaulted; what arrays run on. */
import type { DeviceProbe } from "../../src/control/engine.ts";
import type {
  ArrayHappening,
  ArrayStatus,
  MemberStateWord,
  MemberStatus,
  SyncStatus,
} from "../../src/raid/array-status.ts";

/** What a fake device holds; absent: nothing. */
export interface FakeContent {
  readonly md?: NonNullable<DeviceProbe["md"]>;
  readonly signatures?: readonly string[];
  /** 512 when not told. */
  readonly logicalBlockSize?: number;
}

/** What a fake array asks of the engine that runs it. */
export interface FakeHost {
  readonly contents: ReadonlyMap<string, FakeContent>;
  hold(path: string, content: FakeContent): void;
  superblock(status: ArrayStatus, path: string): NonNullable<DeviceProbe["md"]>;
  publish(uuid: string, status: ArrayStatus): void;
  announce(uuid: string, happening: ArrayHappening): void;
  tick(): number;
  failIfAsked(call: "change"): void;
  ended(status: ArrayStatus): void;
}

export function fakeMember(path: string, slot: number, states: MemberStateWord[]): MemberStatus {
  return {
    path,
    deviceUuid: `00000000-0000-0000-0000-00000000000${slot}`,
    raidSlot: states.includes("in_sync") || states.includes("rebuilding") ? slot : null,
    deviceNumber: slot,
    states,
    recoveryOffset: states.includes("rebuilding") ? 0 : null,
    readErrorsCorrected: 0,
    readErrors: 0,
    badBlocks: 0,
    stalledSince: null,
    faultReason: null,
  };
}

/** A raid slot without a member. */
export function emptySlot(slot: number): MemberStatus {
  return { ...fakeMember("", slot, ["missing"]), path: null, deviceUuid: null, raidSlot: slot };
}

export function fakeSync(overrides: Partial<SyncStatus> = {}): SyncStatus {
  return {
    action: "check",
    reason: "user",
    scope: "full",
    paused: false,
    heldBy: null,
    startedAt: 1000,
    completedBytes: 0,
    totalBytes: 1000,
    copiedBytes: 0,
    skippedBytes: 0,
    speedBytesPerSecond: 100,
    eta: { low: 9, high: 11 },
    ...overrides,
  };
}

/** What a status says of its members, told from them. */
export function judged(
  status: ArrayStatus,
  members: readonly MemberStatus[],
): Pick<ArrayStatus, "members" | "inSyncCopies" | "degraded" | "health"> {
  const inSync = members.filter((member) => member.states.includes("in_sync"));
  const inSyncCopies = new Set(inSync.map(({ raidSlot }) => raidSlot)).size;
  const isRebuilding = members.some((member) => member.states.includes("rebuilding"));
  const degraded = status.raidDevices - inSyncCopies;
  const health = degraded === 0 ? "optimal" : isRebuilding ? "recovering" : "degraded";
  return { members, inSyncCopies, degraded, health };
}
