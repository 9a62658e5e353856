/** What a node tells of its cluster, with plain values. */
import type { ClusterView } from "../../src/cluster/node/cluster-view.ts";

const member = (slot: number, node: string, isMe: boolean) => ({
  slot,
  node,
  address: "127.0.0.1:10809",
  epoch: 20 + slot,
  isMe,
});

/** Node b in slot 1 of two; `change` replaces parts. */
export const clusterView = (change: Partial<ClusterView> = {}): ClusterView => ({
  protocol: "channel",
  phase: "entered",
  slot: 1,
  epoch: 21,
  nodes: 4,
  members: [member(0, "a", false), member(1, "b", true)],
  slots: [
    { slot: 0, condition: "live", recoveredBy: null },
    { slot: 1, condition: "live", recoveredBy: null },
    { slot: 2, condition: "recovering", recoveredBy: 1 },
  ],
  locks: [
    {
      resource: "bitmap0000",
      granted: [{ slot: 0, node: "a", granted: "PW", requested: null }],
      converting: [],
      waiting: [],
      isLvbInvalid: false,
      range: { lo: 0, hi: 65_536 },
    },
  ],
  damaged: [],
  aside: [],
  knownSince: null,
  forced: null,
  message: {
    seq: 7,
    name: "RESYNCING",
    origin: 1,
    isDone: false,
    awaited: [{ slot: 0, what: "process" }],
  },
  ranges: [{ slot: 0, lo: 0, hi: 65_536 }],
  isBalancingSuspended: true,
  waits: ["waiting for node 1 (a) to process RESYNCING, 0.4 s"],
  calls: [{ id: 3, call: "resync-info-update", waitedMs: 400 }],
  trace: [{ at: 4000, what: "message", text: "RESYNCING 7 of node 2" }],
  at: 5000,
  ...change,
});
