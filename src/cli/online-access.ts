/** What every online verb has in common: flags that name the daemon, its client, device names. */

import path from "node:path";
import type { Command } from "commander";
import type { ArrayResource } from "../api/schemas/array.ts";
import type { DeviceResource } from "../api/schemas/device.ts";
import { CodedError } from "../common/errors.ts";
import { parsePeerPath, peerDeviceId } from "../hal/peer-path.ts";
import { type AccessFlags, ApiClient, resolveAccess } from "./api-client.ts";

/** Flags of every online verb. */
export interface OnlineFlags extends AccessFlags {
  readonly json?: boolean;
}

/** Adds the flags that name the daemon, and `--json`. */
export function withAccess(command: Command): Command {
  return command
    .option("--api <url>", "address of the daemon, such as http://127.0.0.1:8090")
    .option("--token <token>", "bearer token")
    .option("--data <dir>", "folder of a running demo or daemon to take both from")
    .option("--json", "print JSON");
}

/** The client for the daemon that the flags name. */
export function clientOf(flags: AccessFlags): ApiClient {
  return new ApiClient(resolveAccess(flags));
}

/** Path of an array by uuid or name. */
export function arrayPath(array: string): string {
  return `/api/v1/arrays/${encodeURIComponent(array)}`;
}

/** The array by uuid or name. */
export async function fetchArray(client: ApiClient, array: string): Promise<ArrayResource> {
  return await client.request<ArrayResource>("GET", arrayPath(array));
}

/** Every item of a collection, page by page. */
export async function fetchAll<Item>(client: ApiClient, collection: string): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: { readonly items: Item[]; readonly next_cursor: string | null } =
      await client.request("GET", `/api/v1/${collection}?limit=1000${query}`);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return items;
}

/** The id of a device given by id or by path. Errors: CLI_DEVICE_UNKNOWN for a path. */
export async function deviceId(client: ApiClient, device: string): Promise<string> {
  const peer = parsePeerPath(device);
  if (peer !== null) return peerDeviceId(peer);
  if (!device.includes("/")) {
    return device;
  }
  const wanted = path.resolve(device);
  const devices = await fetchAll<DeviceResource>(client, "devices");
  const found = devices.find((candidate) => candidate.status.path === wanted);
  if (found === undefined) {
    throw new CodedError("CLI_DEVICE_UNKNOWN", `the daemon knows no device at ${wanted}`, {
      remedy: "see `satsuma devices`; put the file into the disks folder or configure the path",
    });
  }
  return found.id;
}
