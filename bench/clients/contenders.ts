/** Who takes part in which workload, and which server it needs for it. */
import { OURS } from "../report.ts";
import type { Target } from "../target.ts";
import { makeRawFile, startNbdkit, startQemuQuorum } from "./peers.ts";
import { startSatsuma } from "./satsuma.ts";
import type { Workload } from "./workloads.ts";

/** A server that workloads may share: equal keys, equal servers. */
export interface Seat {
  readonly key: string;
  /** Starts it on files in `folder`, which is its own. */
  start(folder: string, sizeBytes: number): Promise<Target>;
}

export interface Contender {
  readonly name: string;
  /** Whether a column gives our ratio to it. */
  readonly isCompared: boolean;
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
    isCompared: !direct,
    seat: (workload) => {
      const legs = quorumLegs(workload);
      if (legs === undefined) return undefined;
      const { transport } = workload;
      return {
        key: `${name}-${legs}-${transport}`,
        start: (folder, sizeBytes) =>
          startQemuQuorum(name, folder, sizeBytes, { direct, legs, transport }),
      };
    },
  };
}

const SATSUMA: Contender = {
  name: OURS,
  isCompared: false,
  seat: ({ array, transport, condition }) => {
    const isLab = condition === "slow-member" || condition === "hung-member";
    return {
      key: [OURS, array, transport, ...(isLab ? ["lab"] : [])].join("-"),
      start: (folder, sizeBytes) => startSatsuma(folder, sizeBytes, { array, transport, isLab }),
    };
  },
};

const NBDKIT: Contender = {
  name: "nbdkit",
  isCompared: true,
  seat: ({ transport, condition }) =>
    condition === "quiet"
      ? {
          key: `nbdkit-${transport}`,
          start: (folder, sizeBytes) => startNbdkit("nbdkit", folder, sizeBytes, transport),
        }
      : undefined,
};

const RAW: Contender = {
  name: "raw",
  isCompared: true,
  seat: ({ transport, condition }) =>
    condition === "quiet" && transport === "unix"
      ? {
          key: "raw",
          start: async (folder, sizeBytes) => makeRawFile("raw", folder, sizeBytes),
        }
      : undefined,
};

export const CONTENDERS: readonly Contender[] = [
  SATSUMA,
  quorum("qemu-quorum", false),
  NBDKIT,
  RAW,
  quorum("qemu-direct", true),
];
