/** The online verbs that change an array as a whole: grow and rename, as mdadm --grow. */

import type { Command } from "commander";
import { CodedError } from "../common/errors.ts";
import { followSync } from "./job-follow.ts";
import { arrayPath, clientOf, deviceId, fetchArray, withAccess } from "./online-access.ts";
import { reportArray, runJob, type VerbFlags } from "./online-verb.ts";
import { parseCount, parseSize } from "./size-syntax.ts";

/** The options of `grow` as typed. */
export interface GrowFlags extends VerbFlags {
  readonly size?: string;
  readonly raidDevices?: string;
  readonly bitmap?: string;
  readonly bitmapChunk?: string;
  readonly nodes?: string;
  readonly homeCluster?: string;
  /** Undefined when neither --bbl nor --no-bbl is given. */
  readonly bbl?: boolean;
  readonly add?: string[];
}

const BITMAPS = ["internal", "clustered", "none"];
const RAID_DEVICES_MAX = 32;
const NODES_MAX = 128;

const bitmapBody = (flags: GrowFlags): Readonly<Record<string, unknown>> => {
  const { bitmap, bitmapChunk, nodes } = flags;
  if (bitmap !== undefined && !BITMAPS.includes(bitmap)) {
    throw new CodedError("CLI_BAD_USAGE", `--bitmap ${bitmap} is unknown`, {
      remedy: `use ${BITMAPS.join(", ")}`,
    });
  }
  return {
    ...(bitmap === undefined ? {} : { type: bitmap }),
    ...(bitmapChunk === undefined
      ? {}
      : { chunk_size: parseSize(bitmapChunk, "--bitmap-chunk", 1024) }),
    ...(nodes === undefined ? {} : { nodes: parseCount(nodes, "--nodes", 1, NODES_MAX) }),
  };
};

/** The body of the change. Sizes without a suffix are KiB, as in mdadm. Errors: CLI_BAD_USAGE. */
export function growBody(flags: GrowFlags): Readonly<Record<string, unknown>> {
  const { size, raidDevices, homeCluster, bbl } = flags;
  const bitmap = bitmapBody(flags);
  return {
    ...(size === undefined
      ? {}
      : { size: size === "max" ? size : parseSize(size, "--size", 1024) }),
    ...(raidDevices === undefined
      ? {}
      : { raid_devices: parseCount(raidDevices, "--raid-devices", 1, RAID_DEVICES_MAX) }),
    ...(Object.keys(bitmap).length === 0 ? {} : { bitmap }),
    ...(homeCluster === undefined ? {} : { home_cluster: homeCluster }),
    ...(bbl === undefined ? {} : { bad_block_list: bbl, force: flags.force ?? false }),
  };
}

const grow = async (array: string, flags: GrowFlags): Promise<void> => {
  const body = growBody(flags);
  const added = flags.add ?? [];
  if (Object.keys(body).length === 0 && added.length === 0) {
    throw new CodedError("CLI_BAD_USAGE", "nothing is asked for", {
      remedy: "give --size, --raid-devices, --bitmap, --add …; see satsuma grow --help",
    });
  }
  const client = clientOf(flags);
  if (Object.keys(body).length > 0) {
    await runJob(client, "PATCH", arrayPath(array), body);
  }
  for (const device of added) {
    await runJob(client, "POST", `${arrayPath(array)}/members`, {
      device_id: await deviceId(client, device),
      force: flags.force ?? false,
    });
  }
  if (flags.wait) {
    await followSync(client, await fetchArray(client, array));
  }
  reportArray(flags, await fetchArray(client, array));
};

/** Registers the verbs. */
export function registerChangeVerbs(program: Command): void {
  withAccess(program.command("grow").description("change a running array, as mdadm --grow"))
    .argument("<array>", "uuid or name")
    .option("--size <size>", "bytes to use of each member (KiB without a suffix), or max")
    .option("-n, --raid-devices <n>", "raid devices of a raid1")
    .option("--bitmap <type>", "internal, clustered or none")
    .option("--bitmap-chunk <size>", "bytes per bit of the bitmap")
    .option("--nodes <n>", "slots of a clustered bitmap")
    .option("--home-cluster <name>", "cluster of a clustered bitmap")
    .option("--bbl", "a bad-block list for every member")
    .option("--no-bbl", "no bad-block lists; clustered arrays have none")
    .option("--add <device...>", "devices to add afterwards")
    .option("--force", "add devices that hold something else; drop lists that have entries")
    .option("--wait", "wait for the resync or recovery that follows")
    .action(grow);

  withAccess(program.command("rename").description("give an array another name"))
    .argument("<array>", "uuid or name")
    .argument("<name>", "1 to 31 of A-Z a-z 0-9 . _ -")
    .action(async (array: string, name: string, flags: VerbFlags) => {
      const client = clientOf(flags);
      await runJob(client, "PATCH", arrayPath(array), { name });
      reportArray(flags, await fetchArray(client, name));
    });
}
