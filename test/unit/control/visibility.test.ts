/** The matrix of boards and disks. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { PeerLink } from "../../../src/control/peer-boards.ts";
import { visibility } from "../../../src/control/visibility.ts";
import { peerBoard } from "../../helpers/peer-values.ts";

const test = suite("control/visibility");

const HERE = peerBoard("a", { isHere: true, reaches: ["b"] });

const link = (over: Partial<PeerLink>): PeerLink => ({
  board: "b",
  disk: "disk1",
  state: "up",
  latencyMs: 2,
  inFlight: 0,
  reconnects: 3,
  lastError: null,
  ...over,
});

const words = (boards: Parameters<typeof visibility>[0], links: readonly PeerLink[]): string[] =>
  visibility(boards, links).map(
    ({ board, owner, disk, state }) => `${board}>${owner}/${disk} ${state}`,
  );

test("a board's own disks are local, others as the board says or as it is seen here", () => {
  const boards = [HERE, peerBoard("b", { reaches: ["a"] }), peerBoard("c", { reaches: [] })];
  assert.equal(words(boards, [link({}), link({ board: "c", state: "gone" })]), [
    "a>a/disk1 local",
    "a>b/disk1 up",
    "a>c/disk1 down",
    "b>a/disk1 up",
    "b>b/disk1 local",
    "b>c/disk1 down",
    "c>a/disk1 down",
    "c>b/disk1 down",
    "c>c/disk1 local",
  ]);
});

test("a disk that nobody uses is reached as its board's others are; without a look it is unknown", () => {
  const disks = ["disk1", "disk2"].map((id) => ({ ...peerBoard("b").disks[0], id }));
  const boards = [HERE, peerBoard("b", { disks: disks as never }), peerBoard("c")];
  const [, first, second, third] = visibility(boards, [link({ lastError: "x" })]);
  assert.equal([first?.state, first?.latencyMs, first?.reconnects], ["up", 2, 3]);
  assert.equal([second?.state, second?.latencyMs, second?.reconnects], ["up", 2, 0]);
  assert.is(third?.state, "unknown");
});

test.run();
