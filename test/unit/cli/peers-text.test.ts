/** What `satsuma status` and `satsuma locks` print of boards. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { PeerReportResource, PeerResource } from "../../../src/api/schemas/peer.ts";
import { boardsLines, exporterLines } from "../../../src/cli/peers-text.ts";

const test = suite("cli/peers-text");

const peer = (id: string, over: Partial<PeerResource> = {}): PeerResource => ({
  id,
  state: "up",
  silent_for: 0.4,
  here: false,
  epoch: 3,
  address: `${id}:1`,
  api: "",
  version: "",
  disks: [{ id: "disk1", device_id: `${id}.disk1`, kind: "file", size: 1 }],
  reaches: [],
  ...over,
});

const path = (device_node: string, over: Partial<PeerReportResource["paths"][number]> = {}) => ({
  node: "a",
  device_node,
  disk: "disk1",
  state: "up" as const,
  latency: 0.0004,
  in_flight: 0,
  reconnects: 0,
  last_error: null,
  ...over,
});

const report = (over: Partial<PeerReportResource> = {}): PeerReportResource => ({
  cluster: "attic",
  exporter: { open: true, reason: null, sessions: [], fences: [] },
  items: [peer("a", { here: true }), peer("b"), peer("c", { state: "away" })],
  paths: [path("b")],
  links: {},
  ...over,
});

test("boards: this one, those that are reached and how quickly, those that are away", () => {
  assert.equal(boardsLines(report()), [
    "boards:",
    "      a (this board): up, 1 disk at a:1",
    "      b: up, 1 disk at b:1, reached, 0.4 ms",
    "      c: away, 1 disk known",
  ]);
  assert.equal(boardsLines(report({ items: [] })), []);
});

test("a board that has no life at the store says why, and of the others only their disks", () => {
  const lone = { epoch: null, address: "", state: "unknown" as const };
  const items = [peer("a", { ...lone, here: true }), peer("b", lone)];
  const exporter = { open: false, reason: "etcd does not answer", sessions: [], fences: [] };
  assert.equal(boardsLines(report({ items, paths: [], exporter })), [
    "boards:",
    "      a (this board): not in its cluster, 1 disk, serves nobody: etcd does not answer",
    "      b: unknown, 1 disk known",
  ]);
});

test("a board that is late, and one of which nothing can be known, is not called up", () => {
  const items = [
    peer("b", { state: "silent", silent_for: 7.6 }),
    peer("c", { state: "unknown", silent_for: null }),
  ];
  assert.equal(boardsLines(report({ items, paths: [] })), [
    "boards:",
    "      b: not heard of for 7 s, 1 disk at b:1",
    "      c: unknown, 1 disk at c:1",
  ]);
});

test("the worst way to a board's disks is told, and why this board serves nobody", () => {
  const exporter = { open: false, reason: "the store is away", sessions: [], fences: [] };
  const paths = [path("b"), path("b", { disk: "disk2", state: "down", last_error: "refused" })];
  const [, here, other] = boardsLines(report({ exporter, paths }));
  assert.is(here, "      a (this board): up, 1 disk at a:1, serves nobody: the store is away");
  assert.is(other, "      b: up, 1 disk at b:1, not reached: refused");
});

test("locks tell for whom the exports work, and which fences are waited for", () => {
  const session = { session: "node:u:2:9", node: "b", disks: ["d1", "d2"], connections: 1 };
  const sessions = [{ ...session, in_flight: 4, waits: "old requests" }];
  const fences = [{ array: "u", slot: 1, epoch: 9 }];
  assert.equal(
    exporterLines(report({ exporter: { open: true, reason: null, sessions, fences } })),
    [
      "member exports of this board: open",
      "  node:u:2:9 of b: d1 d2, 1 connection, 4 under way, old requests",
      "  fence of slot 1 of u, epoch 9: its requests are waited for",
    ],
  );
  assert.equal(exporterLines(report({ exporter: null })), []);
});

test.run();
