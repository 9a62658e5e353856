import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  boardRows,
  isAlone,
  lacksWitness,
  votesOf,
  witnesses,
} from "../../../web/src/board/cluster-view.ts";
import { visibilityOf, wayOf } from "../../../web/src/board/cluster-ways.ts";
import { answersOf, memberOf, pathOf, peerOf } from "../../helpers/cluster-samples.ts";

const test = suite("cluster-view");

const ARRAY = {
  array_id: "1",
  name: "md0",
  running: true,
  health: "optimal",
  copies: 2,
  degraded: 0,
  syncing: false,
  nodes: ["a", "b"],
};

test("a board is alone until it has a cluster or sees another board", () => {
  assert.ok(isAlone(answersOf({})));
  assert.not(isAlone(answersOf({ cluster: { name: "attic" } })));
  assert.not(isAlone(answersOf({ others: ["b"] })));
});

test("a board that votes, serves disks or runs an array is one row, and a witness is none", () => {
  const answers = answersOf({
    cluster: {
      name: "attic",
      members: [
        memberOf("a", { vote: "voter", answers: true }),
        memberOf("b", { state: "offline", vote: "voter", answers: false }),
        memberOf("d", { state: "leaving" }),
        memberOf("w", { role: "witness" }),
      ],
    },
    status: { arrays: [ARRAY] },
    others: ["b", "c"],
    peers: {
      items: [peerOf("a"), peerOf("b", { api: "javascript:alert(1)" }), peerOf("c")],
      paths: [pathOf("a", "a", { state: "local" }), pathOf("a", "c", { latency: 0.002 })],
    },
  });
  assert.equal(
    boardRows(answers).map(({ name, state, answers: answering, panel, runs }) => [
      name,
      state,
      answering,
      panel,
      runs,
    ]),
    [
      ["a", "up", true, null, ["md0"]],
      ["b", "away", false, null, ["md0"]],
      ["c", "up", null, "http://c:8090", []],
      ["d", "leaving", null, null, []],
    ],
  );
  assert.equal(
    boardRows(answers).map(({ way }) => way?.latency ?? null),
    [null, null, 0.002, null],
  );
  assert.equal(
    witnesses(answers).map(({ name }) => name),
    ["w"],
  );
});

test("boards are in the order of their numbers", () => {
  const names = boardRows(answersOf({ others: ["b10", "b2"] })).map(({ name }) => name);
  assert.equal(names, ["a", "b2", "b10"]);
});

test("a board that runs nothing itself does not tell what others run", () => {
  const [here, other] = boardRows(
    answersOf({
      others: ["b"],
      status: { state: "drained", arrays: [{ ...ARRAY, running: false }] },
    }),
  );
  assert.equal([here?.runs, other?.runs], [[], null]);
});

test("votes are those of the cluster, or those of the etcd that the configuration names", () => {
  const managed = { name: "attic", members: [memberOf("a", { vote: "voter", answers: true })] };
  assert.is(votesOf(answersOf({ cluster: managed })), null, "one board alone");
  const left = votesOf(answersOf({ cluster: { ...managed, quorum: "quorate", voters: 1 } }));
  assert.is(left, null, "all others have left");
  assert.equal(votesOf(answersOf({ cluster: { ...managed, quorum: "at-risk", voters: 1 } })), {
    state: "at-risk",
    voters: 1,
    answering: 1,
    spare: 0,
  });
  const configured = (...healthy: readonly boolean[]) =>
    votesOf(
      answersOf({
        cluster: { name: "attic", managed: false },
        status: {
          quorum: {
            problem: null,
            voters: healthy.map((one, at) => ({ name: `e${at}`, board: null, healthy: one })),
          },
        },
      }),
    )?.state;
  assert.equal(
    [configured(true), configured(true, true, true), configured(true, true, false)],
    ["at-risk", "quorate", "at-risk"],
  );
  assert.equal([configured(true, false), configured()], ["lost", "unknown"]);
});

test("two boards lack a witness, until they have one or a third board", () => {
  const of = (...members: Parameters<typeof memberOf>[]) =>
    lacksWitness(
      answersOf({ cluster: { name: "attic", members: members.map((one) => memberOf(...one)) } }),
    );
  assert.ok(of(["a"], ["b"]));
  assert.ok(of(["a"], ["b"], ["c", { state: "leaving" }]));
  assert.not(of(["a"], ["b"], ["w", { role: "witness" }]));
  assert.not(of(["a"], ["b"], ["c"]));
});

test("the way to a board is its worst one; a board that is away sees no disk", () => {
  const peers = answersOf({
    peers: {
      items: [peerOf("a"), peerOf("b"), peerOf("c", { state: "away" })],
      paths: [
        pathOf("a", "a", { state: "local" }),
        pathOf("a", "b", { latency: 0.001, reconnects: 1 }),
        pathOf("a", "b", { disk: "disk2", state: "down", reconnects: 2, last_error: "refused" }),
        pathOf("b", "a"),
        pathOf("b", "b", { state: "local" }),
      ],
    },
  }).peers;
  assert.equal(wayOf(peers, "a", "b"), {
    state: "down",
    latency: 0.001,
    reconnects: 3,
    lastError: "refused",
  });
  assert.is(wayOf(peers, "a", "a"), null);
  const { boards, disks } = visibilityOf(peers);
  assert.equal(boards, ["a", "b", "c"]);
  assert.equal(
    disks.map(({ deviceId, cells }) => [deviceId, ...boards.map((one) => cells.get(one)?.state)]),
    [
      ["disk1", "local", "up", undefined],
      ["b.disk1", "up", "local", undefined],
      ["c.disk1", undefined, undefined, undefined],
    ],
  );
});

test.run();
