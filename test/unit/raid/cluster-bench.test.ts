/** The cluster bench itself: two nodes on two disks write, and what they write is there. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CHUNK_BYTES, ClusterBench } from "../../helpers/cluster-bench.ts";

const test = suite("raid/cluster-bench");

test("each node's write is on both disks, and its bit in the bitmap of its own slot", () => {
  const bench = new ClusterBench();
  bench.finishSync();
  const first = bench.node(0).write(0, new Uint8Array(4096).fill(1));
  const second = bench.node(1).write(2 * CHUNK_BYTES, new Uint8Array(4096).fill(2));
  bench.settle();
  assert.equal([first.state, second.state], ["acknowledged", "acknowledged"]);
  assert.ok(bench.isEqual("/m0", "/m1"));
  for (const path of ["/m0", "/m1"]) {
    assert.equal([bench.bits(path, 0), bench.bits(path, 1)], [[0], [2]]);
  }
});

test.run();
