/**
 * A board never starts from a copy that was left behind: not when the newest one comes late, and
 * not when two were written apart. A copy that is merely missing is waited for, then done without.
 */
import { mkdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { NbdClient } from "../../helpers/nbd-client.ts";
import { ServeProcess } from "../../helpers/serve-process.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually } from "../../helpers/timeout.ts";

interface ArrayView {
  readonly health: string;
  readonly health_reasons: readonly { readonly message: string }[];
}

const BLOCK = 4096;
const MIB = 1024 * 1024;

class TwoDisks {
  readonly serve: ServeProcess;
  readonly disks: readonly [string, string];

  constructor(folder: string, startWaitSeconds: number) {
    const disks = join(folder, "data", "disks");
    mkdirSync(disks, { recursive: true });
    this.disks = [join(disks, "m1.img"), join(disks, "m2.img")];
    for (const disk of this.disks) {
      writeFileSync(disk, "");
      truncateSync(disk, 16 * MIB);
    }
    const config = join(folder, "satsuma.toml");
    writeFileSync(config, `[devices]\nstart_wait = ${startWaitSeconds}\n`);
    this.serve = new ServeProcess(join(folder, "data"), ["--config", config]);
  }

  async create(): Promise<void> {
    await this.serve.start();
    const order = { name: "md0", level: "raid1", device_ids: ["m1", "m2"], assume_clean: true };
    await this.serve.request("POST", "/arrays", order);
    await this.serve.request("POST", "/exports", { name: "md0", array: "md0" });
  }

  async write(text: string): Promise<void> {
    const client = await NbdClient.attach(this.serve.socket, "md0");
    await client.write(0, new Uint8Array(Buffer.alloc(BLOCK, text)));
    await client.flush();
    client.close();
  }

  async read(): Promise<string> {
    const client = await NbdClient.attach(this.serve.socket, "md0");
    const content = await client.read(0, BLOCK);
    client.close();
    return Buffer.from(content.subarray(0, 4)).toString();
  }

  async array(): Promise<ArrayView> {
    const { status } = (await this.serve.request("GET", "/arrays/md0")) as { status: ArrayView };
    return status;
  }

  async fail(id: string): Promise<void> {
    await this.serve.request("POST", `/arrays/md0/members/${id}/actions/fail`);
  }

  take(disk: 0 | 1): void {
    renameSync(this.disks[disk], `${this.disks[disk]}.away`);
  }

  bringBack(disk: 0 | 1): void {
    renameSync(`${this.disks[disk]}.away`, this.disks[disk]);
  }
}

const test = suite("faults: newest copy");

const story = (startWaitSeconds: number, tell: (board: TwoDisks) => Promise<void>) =>
  inFolder(async (folder) => {
    const board = new TwoDisks(folder, startWaitSeconds);
    try {
      await board.create();
      await tell(board);
    } finally {
      await board.serve.kill9();
    }
  });

const refusal = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    return String(error);
  }
  return "none";
};

test(
  "a member that was failed does not stand in for the newest one that is not there yet",
  story(0, async (board) => {
    await board.write("OLD1");
    await board.fail("m1");
    await board.write("NEW2");
    await board.serve.kill9();
    board.take(1);
    await board.serve.start();
    const { health, health_reasons: reasons } = await board.array();
    assert.is(health, "inactive");
    assert.match(reasons[0]?.message ?? "", "what was written since is on none of the devices");
    const assemble = { assemble: "md0" };
    const told = await refusal(board.serve.request("POST", "/arrays", assemble));
    assert.match(told, "CONTROL_NEWEST_COPY_MISSING");
    board.bringBack(1);
    await eventually("the newest copy starts the array", 10_000, async () => {
      return (await board.array()).health !== "inactive";
    });
    assert.is(await board.read(), "NEW2");
  }),
);

test(
  "copies that were written apart are not chosen from by the board",
  story(0, async (board) => {
    await board.write("OLD1");
    await board.fail("m1");
    for (let count = 0; count < 3; count++) {
      await board.write("NEW2");
      await board.serve.kill9();
      await board.serve.start();
    }
    await board.serve.kill9();
    board.take(1);
    await board.serve.start();
    await board.serve.request("POST", "/arrays", { assemble: "md0", run: true });
    assert.is(await board.read(), "OLD1");
    await board.write("THRD");
    await board.serve.kill9();
    board.bringBack(1);
    await board.serve.start();
    assert.is((await board.array()).health, "inactive");
    const assemble = { assemble: "md0" };
    const told = await refusal(board.serve.request("POST", "/arrays", assemble));
    assert.match(told, "CONTROL_COPIES_DISAGREE");
    await board.serve.request("POST", "/arrays", { import: ["m1"], run: true });
    assert.is(await board.read(), "THRD");
    // What was written to m2 alone is on no other member: it is not overwritten unasked.
    const members = "/arrays/md0/members";
    const before = readFileSync(board.disks[1]);
    for (const [path, body] of [
      [`${members}/m2/actions/re-add`, undefined],
      [members, { device_id: "m2" }],
    ] as const) {
      const refused = await refusal(board.serve.request("POST", path, body));
      assert.match(refused, "CONTROL_MEMBER_RAN_APART");
      // One block was written there; what a bit covers counts whole.
      assert.match(refused, /its bitmap marks \d+ [KM]iB/);
      assert.match(refused, /"marked_bytes":[1-9]/);
    }
    assert.ok(readFileSync(board.disks[1]).equals(before));
    await board.serve.request("POST", members, { device_id: "m2", force: true });
    await eventually("m2 is whole", 20_000, async () => (await board.array()).health === "optimal");
    await board.fail("m1");
    assert.is(await board.read(), "THRD");
    // A member that was failed does not know, and holds nothing of its own.
    await board.serve.request("DELETE", `${members}/m1`);
    await board.serve.request("POST", `${members}/m1/actions/re-add`);
  }),
);

// A seed of the randomised fault runs.
test(
  "a member that failed after another one had failed and come back ran apart from nobody",
  story(0, async (board) => {
    const { serve } = board;
    const names = ["a", "b", "c"];
    for (const name of names) await serve.request("POST", "/devices", { name, size: 16 * MIB });
    const order = { name: "md1", level: "raid1", device_ids: names, assume_clean: true };
    await serve.request("POST", "/arrays", order);
    const members = "/arrays/md1/members";
    for (const name of ["a", "b"]) await serve.request("POST", `${members}/${name}/actions/fail`);
    for (const [name, health] of [
      ["a", "degraded"],
      ["b", "optimal"],
    ] as const) {
      await serve.request("DELETE", `${members}/${name}`);
      await serve.request("POST", `${members}/${name}/actions/re-add`);
      await eventually(`${name} is in sync again`, 20_000, async () => {
        const { status } = (await serve.request("GET", "/arrays/md1")) as ArrayResource;
        const { states } = status.members.find(({ device_id }) => device_id === name) ?? {};
        return states?.includes("in_sync") === true && status.health === health;
      });
    }
  }),
);

test(
  "a working member that is missing is waited for, then done without",
  story(1, async (board) => {
    await board.write("SAME");
    await board.serve.kill9();
    board.take(1);
    await board.serve.start();
    assert.is((await board.array()).health, "inactive");
    await eventually("the array starts without it", 20_000, async () => {
      return (await board.array()).health === "degraded";
    });
    assert.is(await board.read(), "SAME");
  }),
);

test.run();
