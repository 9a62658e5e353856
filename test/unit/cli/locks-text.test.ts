/** What `satsuma locks` prints. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayDlmResource } from "../../../src/api/schemas/dlm.ts";
import { absentLines, locksLines } from "../../../src/cli/locks-text.ts";

const test = suite("cli/locks-text");

const holder = (node: string, granted: string | null, requested: string | null = null) => ({
  slot: 0,
  node,
  granted,
  requested,
});

const dlm = (change: Partial<ArrayDlmResource> = {}): ArrayDlmResource => ({
  array: "1d70f103-4974-0ef1-af2a-fce5fcf6a489",
  name: "md0",
  cluster: "attic",
  protocol: "channel",
  phase: "entered",
  slot: 1,
  epoch: 21,
  nodes: 4,
  members: [
    { slot: 0, node: "a", address: "", epoch: 2, me: false },
    { slot: 1, node: "b", address: "", epoch: 21, me: true },
  ],
  slots: [
    { slot: 0, condition: "live", recovered_by: null },
    { slot: 1, condition: "live", recovered_by: null },
    { slot: 2, condition: "free", recovered_by: null },
  ],
  locks: [],
  damaged: [],
  message: null,
  ranges: [],
  balancing_suspended: false,
  awaited: null,
  waits: [],
  calls: [],
  held_writes: { by_range: 0, by_gate: 0, held: 0, p50: 0, p99: 0, max: 0 },
  trace: [],
  links: {},
  ...change,
});

test("an array at rest: nodes, slot, nothing is waited for", () => {
  assert.equal(locksLines(dlm(), 0), [
    "md0: cluster attic, entered, slot 1 of 4, epoch 21",
    "  nodes: a (node 1, slot 0), b (node 2, slot 1, this board)",
    "  nothing is waited for",
    "  last message: none yet",
    "  held writes: none so far",
    "  locks:",
  ]);
});

test("holders with their modes, who waits for which, and the range of a bitmap lock", () => {
  const locks = [
    {
      resource: "bitmap0000",
      granted: [holder("a", "PW")],
      converting: [],
      waiting: [],
      lvb_invalid: false,
      range: { lo: 0, hi: 65_536 },
    },
    {
      resource: "resync",
      granted: [holder("a", "EX"), holder("b", "NL")],
      converting: [holder("b", "NL", "EX")],
      waiting: [holder("c", null, "EX")],
      lvb_invalid: true,
      range: null,
    },
  ];
  const lines = locksLines(dlm({ locks }), 0);
  assert.ok(lines.includes("    bitmap0000    a:PW  resyncs 0.0-32.0 MiB"), lines.join("\n"));
  assert.ok(
    lines.includes("    resync        a:EX  waiting: b:NL>EX c:->EX  value block invalid"),
    lines.join("\n"),
  );
});

test("what is awaited, whose message, dead slots, held writes and the last events", () => {
  const lines = locksLines(
    dlm({
      awaited: "waiting for node 1 (a) to process RESYNCING, 0.4 s",
      message: {
        seq: 7,
        name: "RESYNCING",
        origin: 1,
        done: false,
        awaited: [{ slot: 0, what: "process" }],
      },
      slots: [{ slot: 2, condition: "recovering", recovered_by: 0 }],
      ranges: [{ slot: 0, lo: 2048, hi: 4096 }],
      balancing_suspended: true,
      held_writes: { by_range: 5, by_gate: 1, held: 2, p50: 0.01, p99: 0.04, max: 0.0405 },
      trace: ["1", "2", "3"].map((text) => ({
        at: "2026-11-22T14:01:00.250Z",
        what: "lock" as const,
        text,
      })),
    }),
    2,
  );
  for (const line of [
    "  waiting for node 1 (a) to process RESYNCING, 0.4 s",
    "  last message: RESYNCING (number 7) of b, waits for a (process)",
    "  slot 2: recovering by slot 0",
    "  slot 0 resyncs 1.0-2.0 MiB",
    "  reads go to the first copy: a node is being recovered, or has just joined",
    "  held writes: 5 by a resync, 1 by the gate, 2 now; p50 10.0 ms, p99 40.0 ms, max 40.5 ms",
  ]) {
    assert.ok(lines.includes(line), `${line} in:\n${lines.join("\n")}`);
  }
  assert.equal(lines.slice(-3), [
    "  trace:",
    "    14:01:00.250 lock    2",
    "    14:01:00.250 lock    3",
  ]);
});

test("a damaged key has a line among the locks", () => {
  const damaged = [{ key: "lk/resync", code: "DLM_BAD_RESOURCE", message: "no lock resource" }];
  const lines = locksLines(dlm({ damaged }), 0);
  assert.is(lines.at(-1), "    lk/resync  damaged: DLM_BAD_RESOURCE: no lock resource");
});

test("an array out of its cluster: its name, why it has no locks, what ends that", () => {
  const absent = {
    array: "1d70f103-4974-0ef1-af2a-fce5fcf6a489",
    name: "md0",
    cluster: "attic",
    desired_state: "started" as const,
    code: "CLUSTER_STORE_UNREACHABLE",
    message: "no member of etcd answered",
    remedy: "check that a majority runs",
    tries_again: true,
    links: {},
  };
  assert.equal(absentLines(absent), [
    "md0: cluster attic, does not run here, so it has no locks",
    "  CLUSTER_STORE_UNREACHABLE: no member of etcd answered",
    "  check that a majority runs",
    "  the board tries again by itself",
  ]);
  const stopped = { ...absent, code: null, message: "stopped by request", tries_again: false };
  assert.equal(absentLines({ ...stopped, remedy: "start it" }).slice(1), [
    "  stopped by request",
    "  start it",
  ]);
});

test.run();
