/** Who takes part in which workload, and which server it needs for it. */
import { OURS, OURS_DIRECT } from "../report.ts";
import type { Target } from "../target.ts";
import { makeRawFile, startNbdkit, startQemuQuorum } from "./peers.ts";
import { startSatsuma } from "./satsuma.ts";
import type { Workload } from "./workloads.ts";

/** A server that workloads may share: equal keys, equal servers. */
export interface Seat {
  readonly key: string;
  /** Files that are written whole, each as large as the array or file that is used. */
  readonly copies: number;
  /** Starts it on files in `folder`, which is its own. */
  start(folder: string, sizeBytes: number): Promise<Target>;
}

export interface Contender {
  readonly name: string;
  /** The column of ours whose ratio to it is given; null: it is ours. */
  readonly rival: string | null;
  /** The program that serves; null: it needs none that may be missing. */
  readonly tool: string | null;
  /** The server for a workload; undefined when it has nothing like that. */
  seat(workload: Workload): Seat | undefined;
}

/** Legs of a qemu quorum that does the same work; undefined: qemu has no such array. */
function quorumLegs({ array, condition }: Workload): number | undefined {
  if (condition !== "quiet") return undefined;
  if (array === "raid1x2") return 2;
  return array === "raid1x3" ? 3 : undefined;
}

function quorum(name: string, direct: boolean): Contender {
  return {
    name,
    rival: direct ? OURS_DIRECT : OURS,
    tool: "qemu-storage-daemon",
    seat: (workload) => {
      const legs = quorumLegs(workload);
      if (legs === undefined) return undefined;
      const { transport } = workload;
      return {
        key: `${name}-${legs}-${transport}`,
        copies: legs,
        start: (folder, sizeBytes) =>
          startQemuQuorum(name, folder, sizeBytes, { direct, legs, transport }),
      };
    },
  };
}

function satsuma(name: string, isDirect: boolean): Contender {
  return {
    name,
    rival: null,
    tool: null,
    seat: ({ array, transport, condition }) => {
      // Past the page cache it is there for its peer: jobs under conditions are not its own.
      if (isDirect && condition !== "quiet") return undefined;
      const isLab = condition === "slow-member" || condition === "hung-member";
      return {
        key: [name, array, transport, ...(isLab ? ["lab"] : [])].join("-"),
        copies: array === "raid1x3" ? 3 : 2,
        start: (folder, sizeBytes) =>
          startSatsuma(name, folder, sizeBytes, { array, transport, isLab, isDirect }),
      };
    },
  };
}

const NBDKIT: Contender = {
  name: "nbdkit",
  rival: OURS,
  tool: "nbdkit",
  seat: ({ transport, condition }) =>
    condition === "quiet"
      ? {
          key: `nbdkit-${transport}`,
          copies: 1,
          start: (folder, sizeBytes) => startNbdkit("nbdkit", folder, sizeBytes, transport),
        }
      : undefined,
};

const RAW: Contender = {
  name: "raw",
  rival: OURS,
  tool: null,
  seat: ({ transport, condition }) =>
    condition === "quiet" && transport === "unix"
      ? {
          key: "raw",
          copies: 1,
          start: async (folder, sizeBytes) => makeRawFile("raw", folder, sizeBytes),
        }
      : undefined,
};

export const CONTENDERS: readonly Contender[] = [
  satsuma(OURS, false),
  quorum("qemu-quorum", false),
  NBDKIT,
  RAW,
  satsuma(OURS_DIRECT, true),
  quorum("qemu-direct", true),
];
