/** A disk that acknowledges flushes which it has not done, and then loses its power. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CHUNK_BYTES, ClusterBench } from "../../helpers/cluster-bench.ts";

const test = suite("raid/lying-disk");

const FILL = 7;
/** Of what the members hold for the array. */
const DATA_AT = 2 ** 20;

/** The array was written, and its bits are cleared; then /m1 has lost what was written there. */
const afterPowerLoss = (): ClusterBench => {
  const bench = new ClusterBench({ nodes: 2, disks: 2 });
  bench.finishSync();
  bench.disk("/m1").liesAboutFlushes = true;
  const write = bench.node(0).write(3 * CHUNK_BYTES, new Uint8Array(4096).fill(FILL), true);
  for (let round = 0; round < 30; round++) {
    bench.tick(5000);
    bench.settle();
  }
  assert.is(write.state, "acknowledged");
  assert.equal(bench.bits("/m0", 0), [], "every copy has flushed, as far as anybody can tell");
  bench.run(0, { type: "fail", path: "/m1", reason: "its power is gone" });
  bench.run(0, { type: "remove", path: "/m1" });
  // Its superblock had reached the medium, the data had not: any part may.
  bench.disk("/m1").losePower(DATA_AT);
  bench.disk("/m1").liesAboutFlushes = false;
  const newcomer = bench.node(0).newcomer("/m1");
  assert.is(bench.run(0, { type: "re-add", newcomer }), "ok");
  bench.finishSync();
  return bench;
};

const byteOn = (bench: ClusterBench, path: string): number | undefined =>
  bench.content(path)[3 * CHUNK_BYTES];

const run = (bench: ClusterBench, action: "check" | "repair"): number => {
  assert.is(bench.run(0, { type: "sync-action", action }), "ok");
  bench.finishSync();
  return bench.node(0).status.mismatchCount;
};

test("what it lost is lost on its copy only, and a check counts it", () => {
  const bench = afterPowerLoss();
  assert.equal([byteOn(bench, "/m0"), byteOn(bench, "/m1")], [FILL, 0]);
  assert.ok(run(bench, "check") > 0);
  assert.equal([byteOn(bench, "/m0"), byteOn(bench, "/m1")], [FILL, 0], "a check writes nothing");
});

test("while it is out, or rebuilt whole, the other copy alone is read", () => {
  const bench = afterPowerLoss();
  bench.run(1, { type: "fail", path: "/m1", reason: "it lies" });
  for (const node of bench.nodes)
    assert.equal([...node.reads(3 * CHUNK_BYTES, 1).entries()], [["/m0", new Uint8Array([FILL])]]);
  bench.run(1, { type: "remove", path: "/m1" });
  bench.run(1, { type: "add", newcomer: bench.node(1).newcomer("/m1", { superblock: null }) });
  bench.finishSync();
  assert.is(byteOn(bench, "/m1"), FILL);
  assert.is(run(bench, "check"), 0);
});

test.run();
