/** From the options of `satsuma update`, as typed, to the one change they ask for. */

import { CodedError } from "../common/errors.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import { BITMAP_NODES_MAX } from "../raid/bitmap-superblock.ts";
import { MAX_DEV_LIMIT } from "../raid/superblock-fields.ts";
import { parseUuid } from "../raid/uuid.ts";
import { parseCount, parseSize } from "./size-syntax.ts";

/** The options as commander collects them. */
export interface TypedUpdateOptions {
  readonly name?: string;
  readonly uuid?: string;
  readonly homeCluster?: string;
  readonly nodes?: string;
  readonly bitmap?: string;
  readonly bitmapChunk?: string;
  readonly size?: string;
  readonly raidDevices?: string;
  readonly resync?: boolean;
  /** Undefined when neither `--bbl` nor `--no-bbl` is given. */
  readonly bbl?: boolean;
  readonly forceNoBbl?: boolean;
  readonly run?: boolean;
  readonly json?: boolean;
}

const BITMAPS = ["internal", "clustered", "none"] as const;
const NODES_DEFAULT = "4";
const CLUSTER_DEFAULT = "satsuma";

/** The change. Errors: CLI_BAD_USAGE, also when none or several are asked for. */
export function toArrayChange(typed: TypedUpdateOptions): ArrayChange {
  const changes = [...bitmapChanges(typed), ...otherChanges(typed)];
  const [change] = changes;
  if (change !== undefined && changes.length === 1) return change;
  throw badUsage(
    change === undefined ? "no change is asked for" : "several changes are asked for",
    "give one; see --help",
  );
}

/** `--nodes` and `--home-cluster` are details of `--bitmap clustered`, or changes of their own. */
function bitmapChanges(typed: TypedUpdateOptions): ArrayChange[] {
  const { bitmap, bitmapChunk, nodes, homeCluster } = typed;
  const count = parseCount(nodes ?? NODES_DEFAULT, "--nodes", 2, BITMAP_NODES_MAX);
  if (bitmap === undefined) {
    if (bitmapChunk !== undefined) throw badUsage("--bitmap-chunk needs --bitmap", "see --help");
    return [
      ...(nodes === undefined ? [] : [{ type: "nodes", nodes: count } as const]),
      ...(homeCluster === undefined
        ? []
        : [{ type: "home-cluster", clusterName: homeCluster } as const]),
    ];
  }
  const word = BITMAPS.find((known) => known === bitmap);
  if (word === undefined) {
    throw badUsage(`--bitmap ${bitmap} is unknown`, `use ${BITMAPS.join(", ")}`);
  }
  if (word === "none" && bitmapChunk !== undefined) {
    throw badUsage("--bitmap-chunk needs a bitmap", "leave --bitmap-chunk out");
  }
  if (word !== "clustered" && (nodes !== undefined || homeCluster !== undefined)) {
    throw badUsage("--nodes and --home-cluster need --bitmap clustered", "leave them out");
  }
  return [
    {
      type: "bitmap",
      bitmap: word,
      chunkBytes: bitmapChunk === undefined ? null : parseSize(bitmapChunk, "--bitmap-chunk", 1024),
      nodes: count,
      clusterName: homeCluster ?? CLUSTER_DEFAULT,
    },
  ];
}

function otherChanges(typed: TypedUpdateOptions): ArrayChange[] {
  const { name, uuid, size, raidDevices, resync, bbl, forceNoBbl } = typed;
  const changes: ArrayChange[] = [];
  if (name !== undefined) changes.push({ type: "name", name });
  if (uuid !== undefined) changes.push({ type: "uuid", setUuid: readUuid(uuid) });
  if (size !== undefined) {
    changes.push({
      type: "size",
      sizeBytes: size === "max" ? size : parseSize(size, "--size", 1024),
    });
  }
  if (raidDevices !== undefined) {
    const count = parseCount(raidDevices, "--raid-devices", 1, MAX_DEV_LIMIT);
    changes.push({ type: "raid-devices", count });
  }
  if (resync === true) changes.push({ type: "resync" });
  if (bbl !== undefined) changes.push({ type: "bad-block-list", enabled: bbl });
  if (forceNoBbl === true) {
    changes.push({ type: "bad-block-list", enabled: false, force: true });
  }
  return changes;
}

function readUuid(text: string): Uint8Array {
  const uuid = parseUuid(text);
  if (uuid !== null) return uuid;
  throw badUsage(`--uuid ${text} is not a UUID`, "write 32 hexadecimal digits");
}

function badUsage(message: string, remedy: string): CodedError {
  return new CodedError("CLI_BAD_USAGE", message, { remedy });
}
