/** The arrays that Linux made, in test/fixtures/linux-md: what was recorded, and their images. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./command.ts";

const FOLDER = join(import.meta.dirname, "../fixtures/linux-md");

/** What mdadm and the kernel said of an array. Source: test/fixtures/linux-md/PROVENANCE.md. */
export interface LinuxFixture {
  readonly name: string;
  readonly array: { readonly size: number; readonly sha256_readonly: string };
  readonly members: readonly LinuxMember[];
}

export interface LinuxMember {
  readonly image: string;
  /** Path that the recorded texts name. */
  readonly dev: string;
  readonly size: number;
  readonly sha256: string;
  readonly examine: string;
  readonly bitmap: string;
  readonly badblocks: string;
}

/** All fixtures, so that a new one is tested unasked. */
export function linuxFixtures(): readonly LinuxFixture[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(".json"))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as LinuxFixture);
}

/** Unpacks a fixture's images into a folder and returns their paths, in order. */
export async function unpackFixture(
  fixture: LinuxFixture,
  folder: string,
): Promise<readonly string[]> {
  await runCommand("tar", ["-xJf", join(FOLDER, `${fixture.name}.tar.xz`), "-C", folder]);
  return fixture.members.map(({ image }) => join(folder, image));
}
