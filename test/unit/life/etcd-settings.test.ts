/** How etcd is called, and what a disk's speed means for it. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { etcdArguments, etcdNameOf, ownerOf } from "../../../src/life/etcd-arguments.ts";
import { measureFsync, percentile99, timingFor } from "../../../src/life/fsync-test-driver.ts";
import { readAsk } from "../../../src/life/join-messages.ts";
import { choosePorts } from "../../../src/life/ports-driver.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("etcd of a board");

const PLACE = {
  folder: "/srv/cluster",
  name: etcdNameOf("00112233"),
  cluster: "attic",
  host: "fd00::7",
  clientPort: 2379,
  peerPort: 2380,
  quotaBytes: 1000,
};
const TIMING = { heartbeatMs: 100, electionMs: 1000 };
const BEGIN = { initialCluster: "a=https://x:1", state: "new" } as const;

test("nobody talks to etcd without a certificate that counts, as a client or as a member", () => {
  const args = etcdArguments(PLACE, TIMING, BEGIN);
  for (const end of ["", "peer-"]) {
    assert.ok(args.includes(`--${end}client-cert-auth`));
    assert.ok(args.includes(`--${end}trusted-ca-file=/srv/cluster/ca.pem`));
  }
  assert.ok(args.includes("--client-crl-file=/srv/cluster/refused.der"));
  assert.ok(args.includes("--peer-crl-file=/srv/cluster/refused.der"));
  const urls = args.filter((arg) => arg.includes("-urls="));
  assert.is(urls.length, 4);
  assert.ok(urls.every((arg) => arg.includes("=https://[fd00::7]:")));
});

test("a board known by a host name listens at every address and tells the name", () => {
  const args = etcdArguments({ ...PLACE, host: "board.local" }, TIMING, BEGIN);
  assert.ok(args.includes("--listen-client-urls=https://0.0.0.0:2379"));
  assert.ok(args.includes("--advertise-client-urls=https://board.local:2379"));
});

test("a member's name tells its board, and no other name does", () => {
  assert.is(ownerOf(etcdNameOf("00112233")), "00112233");
  for (const name of ["", "demo", "satsuma-", "satsuma-0011223", "satsuma-00112233x"])
    assert.is(ownerOf(name), null);
});

test("slow disks get slow elections, and too slow ones no vote", () => {
  assert.equal(timingFor(9, 50), { heartbeatMs: 100, electionMs: 1000, warning: null });
  const slow = timingFor(30, 50);
  assert.equal([slow.heartbeatMs, slow.electionMs], [250, 2500]);
  assert.match(slow.warning ?? "", /30\.0 ms/);
  assert.throws(() => timingFor(51, 50), /99 of 100/);
});

test(
  "a disk is measured by writes that are made durable",
  inFolder(async (folder) => {
    assert.ok((await measureFsync(folder)) > 0);
    const times = Array.from({ length: 100 }, (_, at) => at + 1);
    assert.is(percentile99(times.reverse()), 99);
  }),
);

test("ports that are kept are free, differ, and are none that connections are given", async () => {
  const ports = Object.values(await choosePorts("127.0.0.1"));
  assert.is(new Set(ports).size, 4);
  assert.ok(ports.every((port) => port >= 20_000 && port < 32_000));
  try {
    await choosePorts("192.0.2.1");
    assert.unreachable("no machine has this address");
  } catch (error) {
    assert.is((error as { code?: string }).code, "LIFE_ADDRESS_UNUSABLE");
  }
});

test("what a newcomer asks is looked at before anything is done", () => {
  const ports = { cluster: 1, member: 2, etcdClient: 3, etcdPeer: 4 };
  const ask = {
    tokenId: "t",
    secret: "s",
    role: "board",
    name: "b",
    id: "00112233",
    host: "192.0.2.7",
    ports,
    request: "pem",
    version: "1",
  };
  assert.equal(readAsk(JSON.stringify(ask)), ask);
  const bad = [
    { role: "king" },
    { name: "a/b" },
    { id: "../../x" },
    { host: "a b" },
    { host: "x,y=https://evil:1" },
    { ports: { ...ports, etcdPeer: 70_000 } },
    { request: "x".repeat(10_000) },
    { secret: null },
  ];
  for (const part of bad)
    assert.throws(
      () => readAsk(JSON.stringify({ ...ask, ...part })),
      undefined,
      JSON.stringify(part),
    );
  for (const text of ["", "null", "[]", "{"]) assert.throws(() => readAsk(text));
});

test.run();
