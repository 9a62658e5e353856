/** Who is taken out: a board that agrees, or one that is gone for everybody. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BoardKeys, clusterPrefix } from "../../../src/cluster/store/board-keys.ts";
import { encodeMember } from "../../../src/cluster/store/member-records.ts";
import { CodedError } from "../../../src/common/errors.ts";
import { type BoardTraces, tracesIn, whyNotGone } from "../../../src/life/board-traces.ts";
import { Departures, type Judge } from "../../../src/life/departures-driver.ts";
import type { Keeper } from "../../../src/life/keeper-driver.ts";

const test = suite("life/departures");

const UUID = "2f8e0c1a-0000-4000-8000-000000000001";
const NOBODY: BoardTraces = { boards: [], arrays: [] };

const traces = (entries: Readonly<Record<string, string>>): BoardTraces =>
  tracesIn(
    "attic",
    Object.entries(entries).map(([key, value]) => ({
      key: `${clusterPrefix("attic")}${key}`,
      value,
      createRevision: 1,
      modRevision: 1,
      version: 1,
      lease: null,
    })),
  );

const member = (node: string): string =>
  encodeMember({ node, boot: "x", life: "y", address: "", protocol: 1 });

test("a board is gone when it has no life, no session, and nothing that others run awaits recovery", () => {
  const keys = new BoardKeys("attic");
  const life = keys.board("b").slice(clusterPrefix("attic").length);
  const run = (slot: number) => `arrays/${UUID}/m/${slot}`;
  const slot = (number: number) => `arrays/${UUID}/slot/${number}`;
  assert.match(whyNotGone(traces({ [life]: "" }), "b") ?? "", "session");
  assert.is(whyNotGone(traces({ [life]: "" }), "c"), null);
  assert.match(whyNotGone(traces({ [run(2)]: member("b") }), "b") ?? "", "still runs");
  const others = { [run(1)]: member("a"), [slot(1)]: "live" };
  for (const word of ["live", "dead 7", "recovering 7 by 1/3", "rubbish"])
    assert.match(whyNotGone(traces({ ...others, [slot(2)]: word }), "b") ?? "", "slot 1");
  assert.is(whyNotGone(traces({ ...others, [slot(2)]: "free" }), "b"), null);
  // Of what nobody runs nobody could recover a slot.
  assert.is(whyNotGone(traces({ [slot(2)]: "dead 7" }), "b"), null);
});

/** A cluster of a and b, as a's keeper sees it. */
const cluster = (b: { says: boolean; agrees: boolean; found: BoardTraces }) => {
  const done: string[] = [];
  const record = { id: "2", name: "b", role: "board", isLeaving: false };
  const view = () => ({
    records: [record],
    pulses: new Map(b.says ? [["2", { isLeaving: b.agrees }]] : []),
  });
  const keeper = {
    registry: {
      view: async () => view(),
      traces: async () => b.found,
      markLeaving: async (_: unknown, isLeaving: boolean) => void done.push(`leaving ${isLeaving}`),
      remove: async () => void done.push("removed"),
    },
    look: async () => undefined,
    get sight() {
      return { view: view(), etcd: { members: [] } };
    },
  };
  const departures = new Departures(
    keeper as unknown as Keeper,
    { cert: "", key: "" },
    { agreeMs: 0, handoverMs: 0 },
  );
  const evict = async (isForced: boolean, judge?: Judge): Promise<string> => {
    try {
      await departures.evict("b", isForced, judge);
      return "done";
    } catch (error) {
      return (error as CodedError).code;
    }
  };
  return { evict, done };
};

test("a board that runs is taken out with its agreement, forced or not", async () => {
  for (const isForced of [false, true]) {
    const { evict, done } = cluster({ says: true, agrees: true, found: NOBODY });
    assert.is(await evict(isForced), "done");
    assert.equal(done, ["leaving true", "removed"]);
  }
});

test("a board whose arrays do not stop keeps its certificate: it would fail the others' disks", async () => {
  const found = { boards: ["b"], arrays: [{ uuid: UUID, nodes: ["a", "b"], unrecovered: [] }] };
  for (const isForced of [false, true]) {
    const { evict, done } = cluster({ says: true, agrees: true, found });
    assert.is(await evict(isForced), "LIFE_STILL_RUNS");
    assert.equal(done, ["leaving true", "leaving false"]);
  }
});

test("one that died just now, or hangs, stays: neither asked nor forced is it taken for gone", async () => {
  const hung = cluster({ says: true, agrees: false, found: NOBODY });
  assert.is(await hung.evict(false), "LIFE_BOARD_SILENT");
  assert.is(await hung.evict(true), "LIFE_BOARD_NOT_GONE");
  assert.not(hung.done.includes("removed"));
  const found = { boards: ["b"], arrays: [] };
  const silent = cluster({ says: false, agrees: false, found });
  assert.is(await silent.evict(false), "LIFE_BOARD_SILENT");
  assert.is(await silent.evict(true), "LIFE_BOARD_NOT_GONE");
  assert.equal(silent.done, []);
});

test("one that is gone for everybody is taken out by force", async () => {
  const { evict, done } = cluster({ says: false, agrees: false, found: NOBODY });
  assert.is(await evict(false), "LIFE_BOARD_SILENT");
  assert.is(await evict(true), "done");
  assert.equal(done, ["removed"]);
});

test("a board that is needed by the time that it has handed over stays", async () => {
  const needed = async (): Promise<never> => {
    throw new CodedError("CONTROL_DEPARTURE_REFUSED", "it has the last copy");
  };
  for (const says of [true, false]) {
    const { evict, done } = cluster({ says, agrees: says, found: NOBODY });
    assert.is(await evict(true, needed), "CONTROL_DEPARTURE_REFUSED");
    assert.equal(done, says ? ["leaving true", "leaving false"] : []);
  }
});

test.run();
