/** Records and statuses of arrays with every field defaulted, for tests that set what matters. */
import type { CreateOrder } from "../../src/control/array-plan.ts";
import type { ArrayStatus } from "../../src/raid/array-status.ts";
import type { ArrayRecord } from "../../src/store/array-registry.ts";
import { fakeMember } from "./fake-status.ts";

/** A plain `assemble`. */
export const ASSEMBLE = { readOnly: false, run: false };

export const ARRAY_UUID = "1d70f103-4974-0ef1-af2a-fce5fcf6a489";

export function arrayRecord(over: Partial<ArrayRecord> = {}): ArrayRecord {
  return {
    uuid: ARRAY_UUID,
    name: "md0",
    desiredState: "started",
    readOnly: false,
    memberPaths: ["/a", "/b"],
    lastStatus: null,
    syncSpeedMin: null,
    syncSpeedMax: null,
    createdAt: 1,
    updatedAt: 1,
    ...over,
  };
}

export function arrayStatus(over: Partial<ArrayStatus> = {}): ArrayStatus {
  return {
    uuid: ARRAY_UUID,
    name: "md0",
    level: "raid1",
    layout: null,
    chunkBytes: null,
    memberBytes: 1_000_000,
    logicalBlockBytes: 512,
    metadata: "1.2",
    raidDevices: 2,
    sizeBytes: 1_000_000,
    createdAt: 1,
    arrayState: "clean",
    health: "optimal",
    degraded: 0,
    inSyncCopies: 2,
    events: 10,
    mismatchCount: 0,
    mismatches: { ranges: [], truncated: false },
    consistencyPolicy: "bitmap",
    bitmap: {
      type: "internal",
      chunkBytes: 65_536,
      dirtyChunks: 1,
      totalChunks: 16,
      delaySeconds: 5,
      nodes: 0,
      clusterName: "",
    },
    members: [fakeMember("/a", 0, ["in_sync"]), fakeMember("/b", 1, ["in_sync"])],
    sync: null,
    cluster: null,
    syncSpeedMin: 1000,
    syncSpeedMax: 2000,
    ...over,
  };
}

/** An order for md0 on disk1 and disk2. */
export function createOrder(over: Partial<CreateOrder> = {}): CreateOrder {
  return {
    name: "md0",
    level: "raid1",
    layout: null,
    chunkBytes: null,
    devices: ["disk1", "disk2"],
    raidDevices: null,
    bitmap: "internal",
    bitmapChunkBytes: null,
    nodes: null,
    clusterName: null,
    writeMostly: [],
    failfast: [],
    metadata: "1.2",
    sizeBytes: null,
    assumeClean: false,
    force: false,
    ...over,
  };
}
