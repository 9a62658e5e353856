/** What tests in network namespaces leave when they are killed, by its names. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { leftOvers } from "../../helpers/fault-runs/namespaces.ts";

const test = suite("fault-runs/namespaces");

test("what a process that is gone has made is left over, nobody else's is", () => {
  const names = [
    "lo",
    "eth0",
    "sf12b",
    "sf12b0",
    "sf12b0",
    "sf7p1",
    "sf12",
    "sfx",
    "docker0",
    "asf12b",
  ];
  const isAlive = (pid: number): boolean => pid === 7;
  assert.equal(leftOvers(names, isAlive), ["sf12b", "sf12b0"]);
});

test.run();
