/** A board goes, gets another name or is replaced: what arrays would lose by it is refused. */
import { basename } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CodedError } from "../../../src/common/errors.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import type { LifeParts } from "../../../src/control/life-service.ts";
import type { BoardTraces } from "../../../src/life/board-traces.ts";
import { createOrder } from "../../helpers/array-values.ts";
import { openBench } from "../../helpers/control-bench.ts";
import { FakeEngine } from "../../helpers/fake-engine.ts";
import { FakePeers, peerBoard } from "../../helpers/peer-values.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("control/departure");

/** The cluster life, down to what is asked of it. */
class AskedLife {
  readonly asked: string[] = [];
  readonly isConfigured = false;
  status: unknown = { identity: null, sight: null, tokens: [] };
  found: BoardTraces = { boards: [], arrays: [] };
  judge: (name: string) => Promise<void> = async () => undefined;

  onDeparting(): void {}

  onReplace(judge: (name: string) => Promise<void>): void {
    this.judge = judge;
  }

  async traces(): Promise<BoardTraces> {
    return this.found;
  }

  async evict(name: string): Promise<void> {
    this.asked.push(`evict ${name}`);
  }

  async rename(name: string): Promise<void> {
    this.asked.push(`rename ${name}`);
  }

  async leave(): Promise<void> {
    this.asked.push("leave");
  }
}

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "done";
  } catch (error) {
    const { code, details } = error as CodedError;
    return `${code} ${details["may_force"] ?? ""}`.trim();
  }
};

/** Board b has disk2; the array on disk1 and disk2 is run by both. */
const withArray = (
  body: (control: ControlPlane, life: AskedLife, own: string[]) => Promise<void>,
): (() => Promise<void>) =>
  inFolder(async (folder) => {
    const life = new AskedLife();
    const own = ["disk1.img"];
    const boardOf = (path: string): string => (own.includes(basename(path)) ? "opi-a" : "b");
    await using bench = await openBench({
      folder,
      images: ["disk1", "disk2"],
      life: { life, discovery: null } as unknown as LifeParts,
      boards: { boardOf },
    });
    const { control, engine } = bench;
    const job = await control.arrayCommands.create(
      createOrder({ bitmap: "clustered", nodes: 4 }),
      "test",
    );
    assert.is((await control.jobs.waitFor(job.id, AbortSignal.timeout(5000))).state, "succeeded");
    const nodes = ["opi-a", "b"].map((node, slot) => ({ slot, node }));
    engine.array("md0").show({ peers: { phase: "entered", nodes, awaited: null, damaged: [] } });
    await body(control, life, own);
  });

test(
  "the last in-sync copy of a running array goes with nobody, forced or not",
  withArray(async ({ life: service }, life, own) => {
    own.pop();
    for (const isForced of [false, true]) {
      const refused = "CONTROL_DEPARTURE_REFUSED false";
      assert.is(await codeOf(service.evict("b", isForced)), refused);
      assert.is(await codeOf(service.rename("b", "c", isForced)), refused);
    }
    assert.is(await codeOf(life.judge("b")), "CONTROL_DEPARTURE_REFUSED false");
    assert.equal(life.asked, []);
    own.push("disk1.img", "disk2.img");
    assert.is(await codeOf(service.leave(true)), "CONTROL_DEPARTURE_REFUSED false");
    assert.is(await codeOf(service.evict("b", false)), "done", "it has no copy any more");
  }),
);

test(
  "a copy of several goes by force only, for a while or for good; what is lost already is no reason",
  withArray(async ({ life: service }, life) => {
    assert.is(await codeOf(service.evict("b", false)), "CONTROL_DEPARTURE_REFUSED true");
    assert.is(await codeOf(service.rename("b", "c", false)), "CONTROL_DEPARTURE_REFUSED true");
    assert.equal(life.asked, []);
    assert.is(await codeOf(service.evict("b", true)), "done");
    assert.is(await codeOf(service.rename("b", "c", true)), "done");
    assert.is(await codeOf(life.judge("b")), "done");
    assert.is(await codeOf(service.leave(false)), "CONTROL_CLUSTER_IN_USE");
    assert.is(await codeOf(service.leave(true)), "done");
    assert.equal(life.asked, ["evict b", "rename b", "leave"]);
  }),
);

test(
  "an array that runs on other boards alone is judged by none of its copies here",
  withArray(async ({ life: service, arrays, arrayCommands, jobs, devices }, life, own) => {
    own.push("disk2.img");
    const { uuid } = arrays.find("md0").record;
    const order = { confirm: "md0", force: true, forget: false };
    const job = arrayCommands.stop(uuid, order, "test");
    await jobs.waitFor(job.id, AbortSignal.timeout(5000));
    await devices.readAll(devices.paths());
    life.found = { boards: [], arrays: [{ uuid, nodes: ["b"], unrecovered: [] }] };
    assert.is(await codeOf(service.leave(false)), "CONTROL_DEPARTURE_REFUSED true");
    assert.is(await codeOf(service.evict("b", false)), "CONTROL_DEPARTURE_REFUSED true");
    assert.is(await codeOf(service.evict("c", false)), "done", "that one has nothing of it");
    life.found = { boards: [], arrays: [] };
    assert.is(await codeOf(service.leave(false)), "done", "nobody runs it");
  }),
);

test(
  "disks of a board that the cluster has no more are forgotten, those of one that is away are kept",
  inFolder(async (folder) => {
    const life = new AskedLife();
    const engine = new FakeEngine();
    const peers = new FakePeers();
    engine.peers = peers;
    peers.live = [peerBoard("b"), peerBoard("c")];
    const parts = { life, discovery: null } as unknown as LifeParts;
    await using bench = await openBench({ folder, engine, life: parts });
    const { life: service, devices } = bench.control;
    const ids = (): string =>
      devices
        .list()
        .map((view) => view.record.id)
        .join(" ");
    const boards = (...names: string[]): void => {
      const records = names.map((name) => ({ name }));
      const sight = { isShutOut: false, view: { records, refused: [] } };
      life.status = { identity: {}, sight, tokens: [] };
      service.forgetDevices();
    };
    boards("opi-a");
    assert.is(ids(), "b.disk1 c.disk1", "what is there is there");
    peers.live = [];
    await devices.readAll(devices.paths());
    boards();
    assert.is(ids(), "b.disk1 c.disk1", "nothing is known of boards");
    assert.ok(service.hasBoard("b"));
    boards("opi-a", "c");
    assert.equal([service.hasBoard("b"), service.hasBoard("c")], [false, true]);
    assert.is(ids(), "c.disk1");
    life.status = { identity: null, sight: null, tokens: [] };
    service.forgetDevices();
    assert.is(ids(), "", "it has left");
  }),
);

test.run();
