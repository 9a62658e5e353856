/** Arrays on sparse files, made by our own `create` within the test's process. */
import { truncateSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { createArray } from "../../src/cli/create-command.ts";
import { type TypedCreateOptions, toCreateOptions } from "../../src/cli/create-options.ts";

export interface ArrayShape {
  /** Options as typed; the rest is a two-way mirror with metadata 1.2 and an internal bitmap. */
  readonly typed?: Partial<TypedCreateOptions>;
  /** Member sizes in bytes; null is the word missing. */
  readonly sizes: readonly (number | null)[];
}

/** Makes the array on `d0.img` … in the folder and returns the paths that are not missing. */
export async function makeArray(folder: string, shape: ArrayShape): Promise<readonly string[]> {
  const members = shape.sizes.map((size, index) => {
    if (size === null) return "missing";
    const path = join(folder, `d${index}.img`);
    writeFileSync(path, "");
    truncateSync(path, size);
    return path;
  });
  const typed = {
    level: "raid1",
    raidDevices: "2",
    spareDevices: "0",
    bitmap: "internal",
    metadata: "1.2",
    name: "md0",
    homehost: hostname(),
    ...shape.typed,
  };
  const options = toCreateOptions(typed, Math.floor(Date.now() / 1000));
  await createArray({ options, members, force: false });
  return members.filter((member) => member !== "missing");
}
