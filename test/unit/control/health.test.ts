/** The sentence of health: every kind of trouble, the worst first, and what may still fail. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ArrayView, judge, type StartProblem } from "../../../src/control/array-view.ts";
import { boardHealth } from "../../../src/control/health.ts";
import { awayBoard, peerAttention } from "../../../src/control/peer-attention.ts";
import type { ArrayClusterStatus, ArrayStatus } from "../../../src/raid/array-status.ts";
import { arrayRecord, arrayStatus } from "../../helpers/array-values.ts";
import { fakeMember, fakeSync } from "../../helpers/fake-status.ts";
import { FakePeers, peerBoard } from "../../helpers/peer-values.ts";

interface ViewOptions {
  readonly name?: string;
  readonly status?: Partial<ArrayStatus>;
  readonly isRunning?: boolean;
  readonly desiredState?: "started" | "stopped";
  readonly startProblem?: StartProblem;
}

function view(options: ViewOptions = {}): ArrayView {
  const { name = "md0", isRunning = true, desiredState = "started", startProblem = null } = options;
  const record = arrayRecord({ uuid: `uuid-${name}`, name, desiredState });
  const status = arrayStatus({ name, ...options.status });
  const { health, reasons } = judge(record, status, isRunning, startProblem);
  const stamped = reasons.map((reason) => ({ ...reason, since: 1 }));
  return { record, isRunning, status, startProblem, health, reasons: stamped };
}

const degraded: Partial<ArrayStatus> = {
  health: "degraded",
  degraded: 1,
  inSyncCopies: 1,
  members: [
    fakeMember("/a", 0, ["in_sync"]),
    { ...fakeMember("/b", 1, ["faulty"]), faultReason: "EIO" },
  ],
};
const failed: Partial<ArrayStatus> = {
  health: "failed",
  inSyncCopies: 0,
  members: [fakeMember("/a", 0, ["faulty"])],
};
const refused: StartProblem = { code: "X", message: "no member", remedy: "", members: [] };
const halfway = fakeSync({ completedBytes: 225, totalBytes: 1000 });

const test = suite("control/health");

const SENTENCES: readonly (readonly [string, readonly ViewOptions[], string, string])[] = [
  ["no arrays", [], "optimal", "No arrays yet."],
  ["one optimal", [{}], "optimal", "Array md0 is optimal. Any one member may fail."],
  [
    "two optimal",
    [{}, { name: "md1" }],
    "optimal",
    "All 2 arrays optimal. Any one member of each may fail.",
  ],
  [
    "three copies",
    [{ status: { inSyncCopies: 3 } }],
    "optimal",
    "Array md0 is optimal. Any two members may fail.",
  ],
  [
    "degraded",
    [{ status: degraded }],
    "degraded",
    "md0 is degraded: 1 of 2 copies in sync and nothing is being rebuilt. Its last in-sync member must not fail.",
  ],
  [
    "degraded, with a member that waits to be rebuilt",
    [
      {
        status: {
          ...degraded,
          members: [fakeMember("/a", 0, ["in_sync"]), fakeMember("/b", 1, ["spare", "rebuilding"])],
        },
      },
    ],
    "degraded",
    "md0 is degraded: 1 of 2 copies in sync and its rebuild has not begun. Its last in-sync member must not fail.",
  ],
  [
    "not started, for it waits",
    [
      {
        isRunning: false,
        startProblem: { ...refused, code: "CONTROL_ARRAY_INCOMPLETE", message: "it waits" },
      },
    ],
    "inactive",
    "md0 is not started: it waits.",
  ],
  [
    "degraded beside optimal",
    [{ name: "md1" }, { status: degraded }],
    "degraded",
    "md0 is degraded: 1 of 2 copies in sync and nothing is being rebuilt. One more failure loses an array. 1 array optimal.",
  ],
  [
    "recovering",
    [{ status: { ...degraded, health: "recovering", sync: { ...halfway, action: "recover" } } }],
    "recovering",
    "md0 is recovering (22 %): 1 of 2 copies in sync. Its last in-sync member must not fail.",
  ],
  [
    "the first resync",
    [{ status: { health: "building", sync: { ...halfway, action: "resync", reason: "initial" } } }],
    "building",
    "md0 is building (22 %) and usable. What clients have written survives the loss of any one member.",
  ],
  [
    "a running check changes nothing",
    [{ status: { sync: halfway } }],
    "optimal",
    "Array md0 is optimal. Any one member may fail.",
  ],
  [
    "failed before degraded",
    [{ status: degraded }, { name: "md1", status: failed }],
    "failed",
    "md1 has failed: no in-sync member is left. 1 other array not optimal either.",
  ],
  [
    "not started",
    [{ isRunning: false, startProblem: refused }],
    "inactive",
    "md0 could not start: no member.",
  ],
  [
    "stopped by request is no trouble",
    [{}, { name: "md1", isRunning: false, desiredState: "stopped" }],
    "optimal",
    "Array md0 is optimal. Any one member may fail. 1 array stopped by request.",
  ],
  [
    "all stopped",
    [{ isRunning: false, desiredState: "stopped" }],
    "optimal",
    "No array runs. 1 array stopped by request.",
  ],
];

for (const [name, views, state, sentence] of SENTENCES) {
  test(`tells: ${name}`, () => {
    const health = boardHealth(views.map(view));
    assert.equal([health.state, health.sentence], [state, sentence]);
  });
}

test("lists what wants attention, critical things first, each with what to do", () => {
  const stalled = { ...fakeMember("/c", 1, ["in_sync"]), stalledSince: 7 };
  const { attention } = boardHealth([
    view({ status: { sync: { ...halfway, action: "resync", reason: "unclean-shutdown" } } }),
    view({ name: "md1", status: { members: [stalled] } }),
    view({ name: "md2", status: degraded }),
    view({ name: "md3", status: failed }),
    view({ name: "md4", isRunning: false, startProblem: refused }),
  ]);
  assert.equal(
    attention.map(({ severity, code, fix }) => [severity, code, fix !== null]),
    [
      ["critical", "array-failed", true],
      ["critical", "not-started", true],
      ["warning", "member-stalled", true],
      ["warning", "member-failed", true],
      ["warning", "member-failed", true],
      ["info", "resync-running", false],
    ],
  );
  assert.is(attention[0]?.subject, "/api/v1/arrays/uuid-md3");
});

test("a failed member and the raid slot it left are one reason, further empty slots are more", () => {
  const empty = (slot: number) => ({
    ...fakeMember("", slot, ["missing"]),
    path: null,
    raidSlot: slot,
  });
  const { members = [] } = degraded;
  const reasonsOf = (status: Partial<ArrayStatus>) =>
    view({ status: { ...degraded, ...status } }).reasons.map(({ code }) => code);
  assert.equal(reasonsOf({ members: [...members, empty(1)] }), ["member-failed", "no-spare"]);
  assert.equal(reasonsOf({ members: [...members, empty(1), empty(2)] }), [
    "member-failed",
    "member-missing",
    "no-spare",
  ]);
});

test("a resync says what made it due", () => {
  const reasonOf = (reason: "unclean-shutdown" | "array-changed") =>
    view({ status: { sync: { ...halfway, action: "resync", reason } } }).reasons[0]?.message;
  assert.is(reasonOf("unclean-shutdown"), "copies are made equal after an unclean stop");
  assert.is(reasonOf("array-changed"), "copies are made equal after a change of the array");
});

test("a degraded array without a spare says so among its reasons", () => {
  const codes = view({ status: degraded }).reasons.map(({ code }) => code);
  assert.equal(codes, ["member-failed", "no-spare"]);
});

test("what stops all reads and writes is said first, before the arrays that it stops", () => {
  const lost = {
    severity: "critical",
    code: "quorum-lost",
    message: "1 of 3 voters answer: no majority, so all boards' reads and writes wait",
    subject: "/api/v1/cluster",
    fix: null,
  } as const;
  const other = { ...lost, severity: "warning", code: "peer-unreachable" } as const;
  const { sentence, attention } = boardHealth([view({ status: failed })], [other, lost]);
  assert.ok(sentence.startsWith("1 of 3 voters answer: no majority, so all boards'"), sentence);
  assert.is(attention[0]?.code, "quorum-lost");
  assert.is(attention.at(-1)?.code, "peer-unreachable");
});

test("copies are counted as the array's card counts them: those in sync now", () => {
  const members = [
    fakeMember("/a", 0, ["in_sync"]),
    fakeMember("/b", 1, ["faulty"]),
    fakeMember("/c", 2, ["spare", "rebuilding"]),
  ];
  const status = { ...degraded, raidDevices: 3, degraded: 1, members };
  assert.match(boardHealth([view({ status })]).sentence, "1 of 3 copies in sync");
});

const inCluster = (over: Partial<ArrayClusterStatus>): Partial<ArrayStatus> => ({
  cluster: {
    ...{ slot: 0, resync: null, pendingAction: null, remote: [], balancesReads: true },
    ...{ recovering: [], expelled: null },
    ...over,
  },
});

test("an array that another board resyncs, or is to, is not called optimal by any board", () => {
  const stateOf = (over: Partial<ArrayClusterStatus>): string =>
    boardHealth([view({ status: inCluster(over) })]).state;
  assert.is(stateOf({ resync: "PENDING", pendingAction: "resync" }), "resyncing");
  assert.is(stateOf({ resync: "REMOTE", balancesReads: false }), "resyncing");
  assert.is(stateOf({ resync: "REMOTE" }), "optimal", "another board's check");
  assert.is(stateOf({ resync: "PENDING", pendingAction: "check" }), "optimal");
  assert.is(stateOf({ balancesReads: false }), "optimal", "a board has joined");
  const { sentence } = boardHealth([
    view({ status: inCluster({ resync: "REMOTE", balancesReads: false }) }),
  ]);
  assert.is(
    sentence,
    "md0 is being resynced by another board, or is to be. What clients have written survives the loss of any one member.",
  );
});

test("a disk whose board is away is to be waited for, not to be replaced", () => {
  const peers = new FakePeers();
  const path = "peer:b/disk1";
  const members = [fakeMember("/a", 0, ["in_sync"]), fakeMember(path, 1, ["faulty"])];
  const fixOf = (at = path, isKnown = true): string | null | undefined => {
    const views = [view({ status: { ...degraded, members } })];
    const away = (of: string | null) => awayBoard(peers, of === path ? at : of, () => isKnown);
    const { attention } = boardHealth(views, [], away);
    return attention.find(({ code }) => code === "member-failed")?.fix;
  };
  assert.match(fixOf() ?? "", /^Bring b back: it takes its disk back by itself/);
  assert.match(fixOf(path, false) ?? "", /^Replace the device/, "its board has left the cluster");
  peers.live = [peerBoard("b")];
  assert.match(fixOf() ?? "", /^Replace the device/, "its board lives: the disk is bad");
  const gone = { latencyMs: null, inFlight: 0, reconnects: 0, lastError: null };
  peers.ways = [{ board: "b", disk: "disk1", state: "gone", ...gone }];
  assert.match(fixOf() ?? "", /^Bring b back/, "nothing of it is reached");
  assert.match(fixOf("/b") ?? "", /^Replace the device/, "a disk of this board");
});

test("an array that waits for devices and boards wants nobody to assemble it", () => {
  const startProblem = { ...refused, code: "CONTROL_ARRAY_INCOMPLETE" };
  const { attention } = boardHealth([view({ isRunning: false, startProblem })]);
  assert.match(attention[0]?.fix ?? "", "Nothing while disks and boards come up");
});

test("a clustered array without its newest copies starts by itself, a plain one does not", () => {
  const startProblem = { ...refused, code: "RAID_NOT_ENOUGH_MEMBERS" };
  const { bitmap } = arrayStatus();
  const fixOf = (type: "clustered" | "internal") => {
    const status = { bitmap: { ...bitmap, type } };
    return boardHealth([view({ isRunning: false, startProblem, status })]).attention[0]?.fix;
  };
  assert.match(fixOf("clustered") ?? "", /the array starts by itself then\.$/);
  assert.match(fixOf("internal") ?? "", /then assemble the array\.$/);
});

test("of a board that cannot be reached from one that is cut off, nobody says that it lives", () => {
  const peers = new FakePeers();
  peers.live = [peerBoard("b")];
  const gone = { latencyMs: null, inFlight: 0, reconnects: 0, lastError: null };
  peers.ways = [{ board: "b", disk: "disk1", state: "gone", ...gone }];
  assert.match(peerAttention(peers).at(-1)?.message ?? "", "board b lives");
  peers.open = { isOpen: false, reason: "the store is away", draining: [] };
  assert.match(peerAttention(peers).at(-1)?.message ?? "", "whether it lives is not known");
});

test.run();
