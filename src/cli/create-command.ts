/**
 * `satsuma create`: makes a new array on files or block devices. Everything is checked on every
 * member before the first byte is written.
 */

import { randomFillSync } from "node:crypto";
import { CodedError } from "../common/errors.ts";
import { type CreateDevice, createOnDevices } from "../raid/create-driver.ts";
import type { CreateOptions, CreatePlan } from "../raid/create-plan.ts";
import { closeMembers, identifyMember, openMembers } from "./member-file.ts";

/** A request to create, options already understood. */
export interface CreateRequest {
  readonly options: CreateOptions;
  /** Paths, or the word `missing`, in mdadm's order. */
  readonly members: readonly string[];
  /** Overwrite members that hold something. */
  readonly force: boolean;
}

/**
 * Checks, plans, writes, and makes durable. Returns what was made.
 * Errors: RAID_DUPLICATE_MEMBER, and those of createOnDevices.
 */
export async function createArray(request: CreateRequest): Promise<CreatePlan> {
  const paths = request.members.filter((member) => member !== "missing");
  refuseTwice(paths);
  const files = await openMembers(paths, "write");
  try {
    const byPath = new Map(files.map((file) => [file.path, file.device]));
    const devices = request.members.map((path): CreateDevice => {
      const device = byPath.get(path);
      if (device === undefined) return "missing";
      return { path, device, deviceUuid: randomFillSync(new Uint8Array(16)) };
    });
    return await createOnDevices(request.options, devices, request.force);
  } finally {
    await closeMembers(files);
  }
}

function refuseTwice(paths: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const path of paths) {
    const { identity } = identifyMember(path);
    const other = seen.get(identity);
    if (other !== undefined) {
      throw new CodedError("RAID_DUPLICATE_MEMBER", `${other} and ${path} are the same device`, {
        remedy: "give each member once",
      });
    }
    seen.set(identity, path);
  }
}
