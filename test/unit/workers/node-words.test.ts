/** Refusals name the boards that they wait for. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withNames } from "../../../src/workers/node-words.ts";

const test = suite("workers/node-words");

const NODES = [
  { slot: 0, node: "board1" },
  { slot: 1, node: "board2" },
];
const BUSY = { ok: false, code: "CLUSTER_NODE_BUSY", message: "no rest" } as const;

test("a refusal names the nodes that it waits for, a gone one by its number", () => {
  const named = withNames({ ...BUSY, nodes: [1, 2] }, NODES);
  assert.equal(named, { ...BUSY, message: "no rest: node 2 (board2), node 3" });
});

test("any other outcome stays as it is", () => {
  assert.equal(withNames({ ok: true }, NODES), { ok: true });
  assert.equal(withNames(BUSY, NODES), BUSY);
});

test.run();
