import { suite } from "uvu";
import * as assert from "uvu/assert";
import { reportClients } from "../../../../bench/clients/client-tables.ts";
import { comparedWith, planRound, seatsOf } from "../../../../bench/clients/clients-bench.ts";
import { CONTENDERS } from "../../../../bench/clients/contenders.ts";
import { fioArguments, type JobResult, parseFio } from "../../../../bench/clients/fio-job.ts";
import { fineChunkBytes, WORKLOADS, type Workload } from "../../../../bench/clients/workloads.ts";

const test = suite("bench/clients");

function workload(name: string): Workload {
  const found = WORKLOADS.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no workload ${name}`);
  return found;
}

function keysOf(name: string): string[] {
  return [...seatsOf([workload(name)], CONTENDERS).keys()];
}

const SETTINGS = { seconds: 2, sizeBytes: 2 ** 30 };
const SERVED = { uri: "nbd://somewhere", pid: 1 };

test("each bar of the table stands where it belongs", () => {
  const bars = (peer: string) =>
    Object.fromEntries(
      WORKLOADS.flatMap(({ name, bar }) => (bar?.[peer] === undefined ? [] : [[name, bar[peer]]])),
    );
  assert.equal(bars("qemu-quorum"), {
    rr1: 2,
    rr32: 2.5,
    rr1cold: 1.2,
    rr32cold: 1.2,
    rr32x4cold: 1.2,
    rw1: 1.5,
    rw32: 3,
    rw32x4: 2.3,
    sr64k: 1.6,
    sr1m: 1.6,
    sw64k: 1.4,
    sw1m: 1.4,
    rwfsync: 1.4,
  });
  assert.equal(bars("qemu-direct"), { rr1: 1.2, rr32: 1.2, rw1: 1.2, rw32: 1.2 });
  assert.equal(bars("nbdkit"), {
    rr1: 1.2,
    rr32: 1.2,
    rr32x4: 1.2,
    rw1: 1,
    rw32: 1,
    rw32x4: 1,
    sr64k: 1.2,
    sr1m: 1.2,
  });
});

test("every comparison within our own rows names a row that there is", () => {
  for (const { than, name } of WORKLOADS) {
    if (than !== undefined) assert.is.not(workload(than.row).name, name);
  }
});

test("a plain row has every contender, a row under a condition only us", () => {
  assert.equal(keysOf("rr32"), [
    "satsuma-raid1x2-unix",
    "qemu-quorum-2-unix",
    "nbdkit-unix",
    "raw",
    "satsuma-direct-raid1x2-unix",
    "qemu-direct-2-unix",
  ]);
  assert.equal(keysOf("rr32.sync"), ["satsuma-raid1x2-unix"]);
  assert.equal(keysOf("rr32.slow"), ["satsuma-raid1x2-unix-lab"]);
  assert.equal(keysOf("rw32.clear"), ["satsuma-fine-bitmap-unix"]);
});

test("peers do the same work: as many legs, the same transport, or nothing", () => {
  assert.equal(keysOf("rw32.x3").slice(0, 2), ["satsuma-raid1x3-unix", "qemu-quorum-3-unix"]);
  assert.equal(keysOf("rw32.tcp").slice(1, 3), ["qemu-quorum-2-tcp", "nbdkit-tcp"]);
  assert.not(keysOf("rw32.tcp").includes("raw"));
  assert.not(keysOf("rw32.r10").some((key) => key.startsWith("qemu")));
});

test("each round begins with another contender and leaves nobody out", () => {
  const two = [workload("rr1"), workload("rw1.sync")];
  const rounds = [0, 1, 2].map((round) =>
    planRound(two, CONTENDERS.slice(0, 3), round).map((job) => `${job.workload.name} ${job.key}`),
  );
  assert.equal(rounds[0], [
    "rr1 satsuma-raid1x2-unix",
    "rr1 qemu-quorum-2-unix",
    "rr1 nbdkit-unix",
    "rw1.sync satsuma-raid1x2-unix",
  ]);
  assert.is(rounds[1]?.[0], "rr1 qemu-quorum-2-unix");
  assert.is(rounds[2]?.[0], "rr1 nbdkit-unix");
  assert.equal(
    rounds.map((jobs) => jobs.toSorted()),
    rounds.map(() => rounds[0]?.toSorted()),
  );
});

test("a raw file keeps the page cache as it was set", () => {
  const args = fioArguments({ uri: "/legs/0", pid: null }, workload("rr32"), SETTINGS);
  for (const arg of ["--ioengine=io_uring", "--filename=/legs/0", "--invalidate=0"]) {
    assert.ok(args.includes(arg), arg);
  }
});

test("where bits matter, a job writes one block of each chunk, once", () => {
  const timed = fioArguments(SERVED, workload("rw32"), SETTINGS);
  assert.ok(timed.includes("--time_based") && timed.includes(`--size=${2 ** 30}`));
  const once = fioArguments(SERVED, workload("rw32.clear"), SETTINGS);
  assert.not(once.includes("--time_based") || once.includes("--norandommap"));
  assert.ok(once.includes(`--blockalign=${64 * 1024}`) && once.includes("--runtime=2"));
});

test("a fine bitmap has as many bits as fit, of a power of two of 4 KiB or more", () => {
  assert.is(fineChunkBytes(1), 4096);
  assert.is(fineChunkBytes(28_000 * 4096), 4096);
  assert.is(fineChunkBytes(28_000 * 4096 + 1), 8192);
});

const direction = (iops: number, p50: number) => ({
  iops,
  bw_bytes: iops * 2 ** 20,
  total_ios: iops,
  clat_ns: { percentile: { "50.000000": p50, "99.000000": p50 * 10 } },
});
const NONE = direction(0, 0);

test("fio's report is read past its warnings, whichever way the data went", () => {
  const of = (job: object) =>
    parseFio(`note: x\n${JSON.stringify({ jobs: [{ error: 0, ...job }] })}`);
  const reads = of({ read: direction(100, 5000), write: NONE });
  assert.equal(reads, { iops: 100, mibPerSecond: 100, requests: 100, p50Us: 5, p99Us: 50 });
  assert.is(of({ read: NONE, write: direction(7, 1) }).iops, 7);
  assert.is(of({ mixed: direction(9, 1) }).iops, 9);
});

test("with an fsync each, the latency is the fsync's", () => {
  const sync = { total_ios: 3, lat_ns: { percentile: { "50.000000": 8000, "99.000000": 9000 } } };
  const job = { error: 0, read: NONE, write: direction(7, 1000), sync };
  assert.is(parseFio(JSON.stringify({ jobs: [job] })).p50Us, 8);
});

test("a failed job, and one without a request, are errors", () => {
  assert.throws(() => parseFio(JSON.stringify({ jobs: [{ error: 5 }] })), "error 5");
  assert.throws(() => parseFio(JSON.stringify({ jobs: [{ error: 0, read: NONE, write: NONE }] })));
});

const result = (target: string, name: string, iops: number, mibPerSecond: number): JobResult => {
  const cost = { p50Us: 1, p99Us: 2, cpuUsPerRequest: target === "raw" ? null : 3 };
  return { run: 0, target, workload: name, round: 0, iops, mibPerSecond, ...cost };
};
const rowsOf = (targets: readonly string[]) =>
  targets.flatMap((target) => [result(target, "rr1", 111, 1), result(target, "sr1m", 1, 222)]);
const TWO = [workload("rr1"), workload("sr1m")];

test("the report has bandwidth where the row says so, and what the row costs", () => {
  const [table] = reportClients(rowsOf(["satsuma", "qemu-quorum"]), TWO, CONTENDERS);
  assert.is(table?.id, "clients-core");
  assert.match(table?.markdown ?? "", "| 1M read, depth 8 | MiB/s | 222 (222-222) |");
  assert.match(table?.markdown ?? "", "| 4k random read, depth 1 | IOPS | 111 (111-111) |");
  assert.match(table?.markdown ?? "", "1.00x (bar 2: missed)");
  assert.match(table?.markdown ?? "", "3.0 / 1.0 / 2.0");
});

test("each family has a table of its own, and none is made of ours alone beside it", () => {
  const direct = [result("satsuma-direct", "rr1", 222, 2), result("qemu-direct", "rr1", 111, 2)];
  const idsOf = (results: readonly JobResult[]) =>
    reportClients(results, TWO, CONTENDERS).map(({ id }) => id);
  assert.equal(idsOf(rowsOf(["satsuma"])), ["clients-core"]);
  assert.equal(idsOf(direct), ["clients-direct"]);
  const [table] = reportClients(direct, TWO, CONTENDERS);
  assert.match(table?.markdown ?? "", "satsuma-direct vs qemu-direct");
  assert.match(table?.markdown ?? "", "2.00x (bar 1.2: met)");
  assert.not.match(table?.markdown ?? "", "1M read");
  assert.equal(idsOf(rowsOf(["satsuma", "raw"])), ["clients-raw"]);
  const all = rowsOf(["satsuma", "nbdkit", "raw"]);
  assert.equal(idsOf([...all, ...direct]), ["clients-core", "clients-direct", "clients-raw"]);
  const [core, , raw] = reportClients([...all, ...direct], TWO, CONTENDERS);
  assert.not.match(core?.markdown ?? "", "raw");
  assert.match(raw?.markdown ?? "", "- / 1.0 / 2.0");
});

test("each group has a table, compared with rows of ours that it does not show", () => {
  const chosen = [workload("rr1.tcp"), workload("rr1.slow")];
  assert.equal(
    comparedWith(chosen).map(({ name }) => name),
    ["rr1"],
  );
  assert.equal(comparedWith([...chosen, workload("rr1")]), []);
  const results = ["rr1", "rr1.tcp", "rr1.slow"].map((name, index) =>
    result("satsuma", name, 100 * (index + 1), 1),
  );
  const tables = reportClients(results, chosen, CONTENDERS, ["No column x."]);
  assert.equal(
    tables.map(({ id }) => id),
    ["clients-tcp", "clients-slow"],
  );
  assert.match(tables[0]?.markdown ?? "", "2.00x of rr1 (100)");
  assert.match(tables[0]?.title ?? "", "No column x.");
});

test.run();
