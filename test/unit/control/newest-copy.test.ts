/** Whether what is there may be the newest copy, by the board's memory and what superblocks say. */

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ranApartByForce } from "../../../src/cluster/node/cluster-view.ts";
import {
  asksSuperblocks,
  type KnownCopies,
  newestCopyProblem,
  ranApartProblem,
} from "../../../src/control/newest-copy.ts";
import type { ArrayStatus } from "../../../src/raid/array-status.ts";
import type { AssemblyReport, FoundMember } from "../../../src/raid/assembly-status.ts";
import { arrayStatus } from "../../helpers/array-values.ts";
import { fakeMember } from "../../helpers/fake-status.ts";

const uuidOf = (digit: number): string => `00000000-0000-0000-0000-00000000000${digit}`;

const found = (digit: number, over: Partial<FoundMember> = {}): FoundMember => ({
  path: `/m${digit}`,
  superblock: {
    arrayUuid: uuidOf(9),
    deviceUuid: uuidOf(digit),
    events: 8,
    updatedAt: 1,
    role: `Active device ${digit}`,
    dataOffset: 2 ** 20,
    superblockOffset: 4096,
  },
  placement: "in-sync",
  raidSlot: digit,
  reason: "in-sync",
  text: "is in sync",
  ...over,
});

interface Told {
  readonly events: number;
  readonly members: readonly FoundMember[];
  readonly isComplete?: boolean;
  readonly bitmap?: "internal" | "clustered";
}

const report = ({
  events,
  members,
  isComplete = true,
  bitmap = "internal",
}: Told): AssemblyReport => ({
  array: {
    uuid: uuidOf(9),
    name: "md0",
    homehost: null,
    level: "raid1",
    layout: null,
    chunkBytes: null,
    raidDevices: 2,
    metadata: "1.2",
    sizeBytes: 1,
    memberBytes: 1,
    createdAt: 1,
    events,
    bitmap: { type: bitmap, nodes: bitmap === "clustered" ? 4 : 0, clusterName: "" },
  },
  refusal: null,
  isComplete,
  degraded: 0,
  needsResync: false,
  members,
});

/** Member 0 was failed, member 1 went on to event 10. */
const REMEMBERED: ArrayStatus = arrayStatus({
  events: 10,
  members: [fakeMember("/m0", 0, ["faulty"]), fakeMember("/m1", 1, ["in_sync"])],
});

const codeOf = (remembered: ArrayStatus | null, told: Told): string =>
  newestCopyProblem(remembered, report(told))?.code ?? "none";

const test = suite("control: newest copy");

test("a member that was out when the array ran last is not the newest copy", () => {
  assert.is(codeOf(REMEMBERED, { events: 8, members: [found(0)] }), "CONTROL_NEWEST_COPY_MISSING");
  assert.is(codeOf(REMEMBERED, { events: 10, members: [found(0)] }), "CONTROL_NEWEST_COPY_MISSING");
});

test("a device that the memory does not know is no better", () => {
  assert.is(codeOf(REMEMBERED, { events: 9, members: [found(3)] }), "CONTROL_NEWEST_COPY_MISSING");
});

test("the member that was in sync is, whatever else is there", () => {
  const kicked = found(0, { placement: "kicked", reason: "non-fresh" });
  assert.is(codeOf(REMEMBERED, { events: 10, members: [kicked, found(1)] }), "none");
  assert.is(codeOf(REMEMBERED, { events: 10, members: [found(1)], isComplete: false }), "none");
});

test("what was changed elsewhere since has more updates, and is believed", () => {
  assert.is(codeOf(REMEMBERED, { events: 11, members: [found(0)] }), "none");
  assert.is(codeOf(null, { events: 1, members: [found(0)] }), "none");
});

test("of copies that were written apart none is chosen", () => {
  const apart = found(1, { placement: "kicked", reason: "split-brain" });
  const told = { events: 32, members: [found(0), apart] };
  assert.is(codeOf(REMEMBERED, told), "CONTROL_COPIES_DISAGREE");
});

test("a clustered array waits for every working member: other nodes may have gone on with it", () => {
  const told = { events: 12, members: [found(1)], isComplete: false, bitmap: "clustered" } as const;
  assert.is(codeOf(REMEMBERED, told), "CONTROL_ARRAY_INCOMPLETE");
  assert.is(codeOf(null, told), "CONTROL_ARRAY_INCOMPLETE");
  assert.is(codeOf(null, { ...told, isComplete: true }), "none");
});

/** Array md0 runs on /m0 at event 10; /m1 is to join. */
const apart = (
  first: FoundMember,
  second: FoundMember,
  events = 10,
  marked: number | null = null,
) => {
  const running = arrayStatus({
    uuid: uuidOf(9),
    events,
    members: [fakeMember("/m0", 0, ["in_sync"])],
  });
  const found = report({ events, members: [first, second] });
  return ranApartProblem(running, found, "/m1", marked);
};
const apartCode = (...given: Parameters<typeof apart>): string => apart(...given)?.code ?? "none";

const withEvents = (digit: number, events: number, role = `Active device ${digit}`) => {
  const { superblock } = found(digit);
  return found(digit, { superblock: superblock === null ? null : { ...superblock, events, role } });
};

test("a device that the array went on with elsewhere holds what the array never had", () => {
  const split = { placement: "kicked", reason: "split-brain" } as const;
  const code = "CONTROL_MEMBER_RAN_APART";
  assert.is(apartCode(found(0), found(1, split)), code, "it says that the others failed");
  assert.is(apartCode(found(0, split), withEvents(1, 12)), code, "they say that it failed");
  assert.is(apartCode(found(0), withEvents(1, 11)), code, "it has updates that the array lacks");
});

test("the refusal says how much may be lost, as the device's bitmap marks it", () => {
  const split = { placement: "kicked", reason: "split-brain" } as const;
  const text = (marked: number | null) => apart(found(0), found(1, split), 10, marked)?.message;
  assert.match(text(128 * 2 ** 20) ?? "", "(its bitmap marks 128 MiB)");
  assert.match(text(4096) ?? "", "(its bitmap marks 4 KiB)");
  assert.match(text(0) ?? "", "(its bitmap marks none of it now)");
  assert.match(text(null) ?? "", "(no bitmap tells how much)");
});

test("a member that was failed, a spare and a device of another array hold nothing of their own", () => {
  assert.is(apartCode(found(0), found(1, { placement: "kicked", reason: "non-fresh" })), "none");
  assert.is(apartCode(found(0), withEvents(1, 12, "spare")), "none");
  assert.is(apartCode(found(0), found(1, { superblock: null })), "none");
  const { superblock } = withEvents(1, 12);
  const other = superblock === null ? null : { ...superblock, arrayUuid: uuidOf(8) };
  assert.is(apartCode(found(0), found(1, { superblock: other })), "none");
});

test("an array that left its cluster elsewhere may run there: it is not started by itself here", () => {
  const bitmap = { ...arrayStatus().bitmap, type: "clustered", nodes: 4 } as const;
  const clustered = arrayStatus({ ...REMEMBERED, bitmap });
  const told = { events: 20, members: [found(0), found(1)] };
  assert.is(codeOf(clustered, told), "CONTROL_ARRAY_LEFT_CLUSTER");
  assert.is(codeOf(clustered, { ...told, bitmap: "clustered" }), "none");
  assert.is(codeOf(REMEMBERED, { ...told, bitmap: "clustered" }), "none", "it came into one");
});

const UNKNOWN = Number.MAX_SAFE_INTEGER;

test("by force: what was written elsewhere has events between", () => {
  const forced = { from: 20, to: 46 };
  assert.equal(
    [20, 21, 45, 46].map((events) => ranApartByForce(events, { forced })),
    [false, true, true, false],
  );
  assert.is(ranApartByForce(21, { forced: null }), false);
  assert.is(ranApartByForce(21, { forced: { from: 20, to: UNKNOWN } }), false, "nobody knows");
});

test("superblocks that say each that the other one failed prove nothing where the cluster knows", () => {
  const asks = (events: number, known: Partial<KnownCopies> = {}): boolean =>
    asksSuperblocks(events, 50, { knownSince: 10, forced: null, ...known });
  assert.is(asks(30), false, "an update that nobody was told of");
  assert.is(asks(30, { knownSince: null }), true);
  assert.is(asks(10), true, "of before it knew");
  assert.is(asks(51), true, "ahead of the array");
  assert.is(asks(30, { forced: { from: 20, to: UNKNOWN } }), true);
  assert.is(asks(30, { forced: { from: 30, to: UNKNOWN } }), false);
});

test.run();
