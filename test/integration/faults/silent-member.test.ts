// wall-limit: 300 s
/**
 * A member that hangs under a real daemon: reads of what the other one holds go on while its calls
 * are still held, it is failed after its limit and not the array, writes and flushes are
 * acknowledged then, and it may come back only after it has answered.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { NbdClient } from "../../helpers/nbd-client.ts";
import { ServeProcess } from "../../helpers/serve-process.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const LIMIT_MS = 120_000;
const WAIT_MS = 30_000;
const SIZE = 64 * 1024 * 1024;
const CELL = 4096;
/** Held until the test lets go; far longer than the test may take. */
const HANG = { kind: "stall", stall_ms: 600_000 };

const cell = (value: number): Uint8Array => new Uint8Array(CELL).fill(value);

class Bench {
  readonly serve: ServeProcess;

  constructor(folder: string, answerLimit: number) {
    const config = join(folder, "satsuma.toml");
    writeFileSync(config, `[devices]\nanswer_limit = ${answerLimit}\n`);
    this.serve = new ServeProcess(join(folder, "data"), ["--lab", "--config", config]);
  }

  async start(): Promise<NbdClient> {
    await this.serve.start();
    for (const name of ["a", "b"])
      await this.serve.request("POST", "/devices", { name, size: SIZE });
    const order = { name: "md0", level: "raid1", device_ids: ["a", "b"] };
    await this.serve.request("POST", "/arrays", order);
    await this.serve.request("POST", "/exports", { name: "md0", array: "md0" });
    await this.until("it is whole", ({ status }) => status.health === "optimal");
    return await NbdClient.attach(this.serve.socket, "md0");
  }

  async array(): Promise<ArrayResource> {
    return (await this.serve.request("GET", "/arrays/md0")) as ArrayResource;
  }

  until(what: string, holds: (array: ArrayResource) => boolean): Promise<ArrayResource> {
    return eventually(what, WAIT_MS, async () => {
      const array = await this.array();
      return holds(array) && array;
    });
  }

  async fault(device: string, fault: object): Promise<void> {
    await this.serve.request("POST", "/lab/faults", { device_id: device, ...fault });
  }

  async clear(): Promise<void> {
    await this.serve.request("DELETE", "/lab/faults");
  }
}

const member = ({ status }: ArrayResource, device: string) =>
  status.members.find(({ device_id: id }) => id === device);

const isFaulty = (array: ArrayResource, device: string): boolean =>
  member(array, device)?.states.includes("faulty") === true;

const withBench = (answerLimit: number, body: (bench: Bench, client: NbdClient) => Promise<void>) =>
  withTimeout(
    LIMIT_MS,
    inFolder(async (folder) => {
      mkdirSync(join(folder, "data"));
      const bench = new Bench(folder, answerLimit);
      try {
        await body(bench, await bench.start());
      } finally {
        await bench.serve.kill9();
      }
    }),
  );

/** Every stripe of reads, so that both members would be asked. */
const readAll = async (client: NbdClient): Promise<void> => {
  const step = 4 * 1024 * 1024;
  const places = Array.from({ length: 8 }, (_, index) => index * step);
  const contents = await Promise.all(places.map((at) => client.read(at, CELL)));
  assert.is(contents.length, places.length);
};

const holds = async (client: NbdClient, at: number, value: number): Promise<void> => {
  const content = await client.read(at, CELL);
  assert.is(Buffer.compare(content, cell(value)), 0, `${value} is at ${at}`);
};

const test = suite("faults/silent-member");

test(
  "one that hangs for ever is failed after its limit; reads never wait, writes are acknowledged then",
  withBench(3, async (bench, client) => {
    await client.write(0, cell(1));
    await bench.fault("b", HANG);
    let settled = 0;
    const count = () => {
      settled += 1;
    };
    const waiting = [client.write(0, cell(2)), client.write(CELL, cell(3)), client.flush()];
    for (const request of waiting) void request.then(count, count);
    await readAll(client);
    assert.is(settled, 0, "nothing was acknowledged that one member has not taken");
    await bench.until("its silence is named", (array) => {
      const seen = member(array, "b");
      return seen?.stalled_since !== null || seen.states.includes("faulty");
    });
    await readAll(client);
    await Promise.all(waiting);
    const array = await bench.array();
    assert.ok(isFaulty(array, "b"));
    assert.match(member(array, "b")?.fault_reason ?? "", /no answer for \d+ s/);
    assert.is(array.status.health, "degraded");
    await holds(client, 0, 2);
    await holds(client, CELL, 3);
    await client.write(2 * CELL, cell(4));
    await client.flush();
    const early = await bench.serve
      .request("POST", "/arrays/md0/members/b/actions/re-add")
      .then(() => "taken back", String);
    assert.ok(/no answer|not answered/.test(early), early);
    await bench.clear();
    await eventually("it is taken back once it has answered", WAIT_MS, () =>
      bench.serve.request("POST", "/arrays/md0/members/b/actions/re-add").then(
        () => true,
        () => false,
      ),
    );
    await bench.until("it is whole again", ({ status }) => status.health === "optimal");
    await bench.serve.request("POST", "/arrays/md0/members/a/actions/fail");
    await bench.until("the other one has left", (now) => isFaulty(now, "a"));
    for (const [index, value] of [2, 3, 4].entries()) await holds(client, index * CELL, value);
    client.close();
  }),
);

test(
  "one that takes two seconds for each call is named, keeps its place, and slows no read",
  withBench(20, async (bench, client) => {
    await bench.fault("b", { kind: "stall", stall_ms: 2000 });
    let written = 0;
    const writes = [0, 1, 2].map((index) => client.write(index * CELL, cell(9)));
    const count = () => {
      written += 1;
    };
    for (const write of writes) void write.then(count);
    for (let round = 0; round < 5; round++) await readAll(client);
    assert.is(written, 0, "forty reads went by before the first slow write");
    await Promise.all(writes);
    const array = await bench.array();
    assert.not.ok(isFaulty(array, "b"));
    assert.is(array.status.health, "optimal");
    await bench.clear();
    client.close();
  }),
);

test(
  "failing a silent member by hand ends the wait at once",
  withBench(0, async (bench, client) => {
    await bench.fault("b", HANG);
    const write = client.write(0, cell(5));
    const flush = client.flush();
    await bench.until("its silence is named", (array) => member(array, "b")?.stalled_since != null);
    await bench.serve.request("POST", "/arrays/md0/members/b/actions/fail");
    await Promise.all([write, flush]);
    assert.ok(isFaulty(await bench.array(), "b"));
    await holds(client, 0, 5);
    client.close();
  }),
);

test.run();
