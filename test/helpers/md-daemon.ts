/** mdadm's scenarios that are about the host: a real daemon, whose devices come and go as files. */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Callback } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../src/api/schemas/array.ts";
import type { ArrayCandidateResource } from "../../src/api/schemas/array-candidate.ts";
import { NbdClient } from "./nbd-client.ts";
import { ServeProcess } from "./serve-process.ts";
import { inFolder } from "./temporary-folder.ts";
import { eventually, withTimeout } from "./timeout.ts";

const WAIT_MS = 30_000;
const LIMIT_MS = 150_000;
const PIECE = 1024 * 1024;

/** A scenario gets a daemon in a folder of its own; both are gone afterwards. */
export function onDaemon<T>(body: (daemon: MdDaemon) => Promise<void>): Callback<T> {
  return withTimeout(
    LIMIT_MS,
    inFolder(async (folder) => {
      const daemon = new MdDaemon(folder);
      await daemon.serve.start();
      try {
        await body(daemon);
      } finally {
        await daemon.serve.kill9();
      }
    }),
  );
}

export class MdDaemon {
  readonly serve: ServeProcess;
  readonly folder: string;
  readonly #contents = new Map<string, Buffer>();

  constructor(folder: string) {
    this.folder = folder;
    this.serve = new ServeProcess(join(folder, "data"));
    // A place on the same file system, for devices that are away.
    mkdirSync(join(folder, "away"));
  }

  /** Where a device of this name lies, and where it goes when it is taken away. */
  device(name: string): string {
    return join(this.serve.dataDir, "disks", `${name}.img`);
  }

  away(name: string): string {
    return join(this.folder, "away", `${name}.img`);
  }

  /** New devices of these names, an array on them, exported under its name. */
  async makeArray(name: string, devices: readonly string[], size: number): Promise<void> {
    for (const device of devices) {
      const made = await this.serve.request("POST", "/devices", { name: device, size });
      assert.is((made as { status: { path: string } }).status.path, this.device(device));
    }
    const order = { name, level: "raid1", device_ids: devices };
    await this.serve.request("POST", "/arrays", order);
    await this.serve.request("POST", "/exports", { name, array: name });
    await this.until(name, "it is whole", ({ status }) => status.health === "optimal");
  }

  async array(name: string): Promise<ArrayResource> {
    return (await this.serve.request("GET", `/arrays/${name}`)) as ArrayResource;
  }

  async until(
    name: string,
    what: string,
    holds: (array: ArrayResource) => boolean,
  ): Promise<ArrayResource> {
    return await eventually(`${name}: ${what}`, WAIT_MS, async () => {
      const array = await this.array(name);
      return holds(array) && array;
    });
  }

  async candidates(): Promise<readonly ArrayCandidateResource[]> {
    const found = (await this.serve.request("GET", "/arrays/candidates")) as {
      readonly items: readonly ArrayCandidateResource[];
    };
    return found.items;
  }

  /** Random bytes all over an export, flushed, and known from then on. */
  async write(name: string): Promise<void> {
    const client = await NbdClient.attach(this.serve.socket, name);
    const content = randomBytes(client.sizeBytes);
    for (let at = 0; at < content.length; at += PIECE) {
      await client.write(at, content.subarray(at, at + PIECE));
    }
    await client.flush();
    client.close();
    this.#contents.set(name, content);
  }

  /** The export holds what was written to it. */
  async verify(name: string, exportName = name): Promise<void> {
    const expected = this.#contents.get(name) ?? Buffer.alloc(0);
    assert.ok(expected.length > 0, `${name} has been written`);
    const client = await NbdClient.attach(this.serve.socket, exportName);
    for (let at = 0; at < expected.length; at += PIECE) {
      const found = await client.read(at, Math.min(PIECE, expected.length - at));
      assert.is(Buffer.compare(expected.subarray(at, at + PIECE), found), 0, `${name} at ${at}`);
    }
    client.close();
  }
}
