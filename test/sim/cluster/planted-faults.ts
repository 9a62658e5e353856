/**
 * Bugs that the simulation has to find, planted between the product's parts: each breaks one rule
 * of the cluster. HONEST plants none.
 */

import type { ClusterNotice } from "../../../src/raid/cluster-port.ts";
import { bitPlace, CLUSTER_GEOMETRY } from "./cluster-media.ts";
import type { ExporterPlan, NodePlan, PlantedFault } from "./sim-world.ts";

const EXPORTER: ExporterPlan = { checksLate: true, drains: true };
const NODE: NodePlan = {
  awaitsBoards: true,
  confirms: true,
  heedsNewest: true,
  readsOwnBits: true,
};

export const HONEST: PlantedFault = {
  exporter: EXPORTER,
  node: NODE,
  focus: null,
  noticePath: (ends) => ({
    notice: (id, notice) => ends.dispatch({ type: "cluster-notice", id, notice }),
    processed: (id, isRefused) => ends.processed(id, isRefused),
  }),
  clientWrote: () => undefined,
  slotDied: () => undefined,
};

/** How long after a range was suspended its writes go on, milliseconds. */
const EARLY_MS = 5;

/** How long a message that is acknowledged already waits, milliseconds. */
const LATE_MS = 50;

export const CLUSTER_FAULTS = {
  /** A message is acknowledged as it comes, and processed a little later. */
  "ack-before-process": {
    ...HONEST,
    noticePath: (ends) => ({
      notice: (id, notice) => {
        if (notice.type !== "new-disk") ends.processed(id, false);
        ends.life.clock.after(LATE_MS, () => ends.dispatch({ type: "cluster-notice", id, notice }));
      },
      processed: () => undefined,
    }),
  },
  /** A bit is cleared when the first leg has the data. */
  "bit-cleared-early": {
    ...HONEST,
    clientWrote: (world, medium, { caller, offset }) => {
      const chunk = Math.floor((offset - CLUSTER_GEOMETRY.dataAt) / CLUSTER_GEOMETRY.chunkBytes);
      const { at, mask } = bitPlace(caller.life.slot, chunk);
      for (const other of world.media) {
        const byte = other.current[at] ?? 0;
        if ((byte & mask) === 0) continue;
        const owner = { ...caller, isClient: false };
        other.complete(other.begin(owner, at, Uint8Array.of(byte & ~mask)));
      }
      medium.store(medium.flushable());
    },
  },
  /** Writes go on in a range before its resyncer has left it. */
  "range-resumed-early": {
    ...HONEST,
    noticePath: (ends) => ({
      notice: (id, notice) => {
        ends.dispatch({ type: "cluster-notice", id, notice });
        if (notice.type !== "resyncing" || notice.hi === 0) return;
        ends.life.clock.after(EARLY_MS, () => {
          ends.shared?.suspend(notice.slot, 0, 0);
          ends.poke();
        });
      },
      processed: (id, isRefused) => ends.processed(id, isRefused),
    }),
  },
  /** After a message of a resyncer its last one is processed once more. */
  "stale-message": {
    ...HONEST,
    noticePath: (ends) => {
      const last = new Map<number, ClusterNotice>();
      let staleId = -1;
      return {
        notice: (id, notice) => {
          ends.dispatch({ type: "cluster-notice", id, notice });
          if (notice.type !== "resyncing") return;
          const stale = last.get(notice.slot);
          last.set(notice.slot, notice);
          if (stale !== undefined)
            ends.dispatch({ type: "cluster-notice", id: staleId--, notice: stale });
        },
        processed: (id, isRefused) => {
          if (id > 0) ends.processed(id, isRefused);
        },
      };
    },
  },
  /** The slot of a dead node is given away as it is. */
  "slot-reused": {
    ...HONEST,
    slotDied: (world, slot) => {
      const key = world.keys.slot(slot);
      world.etcd.memory.txn({ compares: [], success: [{ type: "delete", key }], failure: [] });
    },
  },
  /** What another node has recorded is acknowledged, and not read. */
  "update-unread": {
    ...HONEST,
    noticePath: (ends) => ({
      notice: (id, notice) => {
        if (notice.type === "metadata-updated") ends.processed(id, false);
        else ends.dispatch({ type: "cluster-notice", id, notice });
      },
      processed: (id, isRefused) => ends.processed(id, isRefused),
    }),
  },
} as const satisfies Readonly<Record<string, PlantedFault>>;

/** Of boards that serve their disks to each other. */
export const BOARD_FAULTS = {
  /** A request is checked before it waits for its turn, not when it is submitted. */
  "checked-early": {
    ...HONEST,
    focus: ["session ends", "disk hangs"],
    exporter: { ...EXPORTER, checksLate: false },
  },
  /** A fence is acknowledged while requests of the session are at the disks. */
  "fence-undrained": {
    ...HONEST,
    focus: ["session ends", "disk hangs"],
    exporter: { ...EXPORTER, drains: false },
  },
  /** A node is recovered before the exporters have acknowledged its fence. */
  "fence-unawaited": {
    ...HONEST,
    focus: ["session ends", "crash"],
    node: { ...NODE, awaitsBoards: false },
  },
  /** A lease that is kept alive permits I/O. */
  "keepalive-permits": {
    ...HONEST,
    focus: ["deposed leader"],
    node: { ...NODE, confirms: false },
  },
  /** A copy that went on apart is re-added by the bits of the others alone. */
  "own-bits-unread": {
    ...HONEST,
    focus: ["forced start"],
    node: { ...NODE, readsOwnBits: false },
  },
  /** A node starts alone from whatever copy it finds. */
  "older-copy": {
    ...HONEST,
    focus: ["forced start"],
    node: { ...NODE, heedsNewest: false },
  },
} as const satisfies Readonly<Record<string, PlantedFault>>;

export const PLANTED = { ...CLUSTER_FAULTS, ...BOARD_FAULTS };

export type PlantedName = keyof typeof PLANTED;
