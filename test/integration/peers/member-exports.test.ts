/** A board serves its disk to peers: real etcd, real TLS, the exporter's own thread. */

import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { createClusterCa } from "../../../src/life/certificates.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { ExporterBench } from "../../helpers/exporter-bench.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("member exports");
const etcdTest = skipUnless(["etcd"], test);
const LIMIT_MS = 60_000;
const WAIT_MS = 20_000;

let etcd: EtcdCluster | null = null;
let bench: ExporterBench | null = null;
test.after(async () => {
  await bench?.stop();
  await etcd?.stop();
});

/** One of each for all tests: slots are taken by one test each. */
const started = async (): Promise<{ etcd: EtcdCluster; bench: ExporterBench }> => {
  etcd ??= await EtcdCluster.start(1);
  bench ??= await ExporterBench.start(etcd);
  await bench.serves();
  return { etcd, bench };
};

const codeOf = async (asked: Promise<unknown>): Promise<string> => {
  try {
    await asked;
    return "no error";
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    const reason = error.details["reason"];
    return reason === undefined ? error.code : `${error.code} ${String(reason)}`;
  }
};

const serialOf = (pem: string): string => new X509Certificate(pem).serialNumber;

const data = (value: number, length = 4096): Uint8Array => new Uint8Array(length).fill(value);

etcdTest(
  "a session reads and writes; when its key is gone it is refused, and its end acknowledged",
  withTimeout(LIMIT_MS, async () => {
    const { bench } = await started();
    const session = await bench.join(1, "board1");
    const device = await bench.open(session, "board1");
    await device.write([data(1), data(2)], 8192);
    await device.writeDurable(data(3), 0);
    await device.zero(12_288, 4096, false);
    await device.flush();
    const target = new Uint8Array(4096);
    await device.read(target, 8192);
    assert.equal(target, data(1));
    await device.read(target, 12_288);
    assert.equal(target, data(0));
    const reader = await bench.open(session, "board1", { mode: "read" });
    await reader.read(target, 0);
    assert.equal(target, data(3));
    const view = await bench.host.view();
    assert.equal(
      view.connections.map(({ peer, mode, state }) => `${peer} ${mode} ${state}`),
      ["board1 write open", "board1 write open", "board1 read open"],
    );

    const gone = await bench.vanish(1);
    assert.is(await bench.acknowledged(1), gone);
    assert.is((await codeOf(device.write([data(9)], 0))).split(" ")[0], "HAL_PEER_GONE");
    assert.is(await codeOf(bench.open(session, "board1")), "HAL_PEER_REFUSED fenced");
    const fence = await bench.fence(1);
    assert.ok(fence?.lease !== null, "the acknowledgement goes with the board");
    await device.close();
    await reader.close();
  }),
);

etcdTest(
  "only boards of the cluster, each in its own sessions, and in this life of the exporter",
  withTimeout(LIMIT_MS, async () => {
    const { bench } = await started();
    const session = await bench.join(2, "board1");
    const board = await bench.liveBoard("board3");
    assert.is(await codeOf(bench.open(session, "board3")), "HAL_PEER_REFUSED stranger");
    assert.is(
      await codeOf(bench.open(session, "board1", { disk: "disk9" })),
      "HAL_PEER_REFUSED no-disk",
    );
    assert.is(await codeOf(bench.open(session, "board1", { life: 1 })), "HAL_PEER_RESTARTED");
    const foreign = await bench.certificate("board1", await createClusterCa("cellar"));
    assert.match(await codeOf(bench.open(session, "board1", { tls: foreign })), /^HAL_PEER_UN/);
    const device = await bench.open(session, "board1");
    const looks = await bench.open(board, "board3", { mode: "read" });
    await looks.read(new Uint8Array(512), 0);
    assert.is(await codeOf(bench.open(board, "board3")), "HAL_PEER_REFUSED busy");
    await device.close();
    const makes = await bench.open(board, "board3");
    await makes.write([data(5)], 0);
    await makes.close();
    await looks.close();
  }),
);

etcdTest(
  "a certificate that is refused opens nothing, and what it has open is cut off",
  withTimeout(LIMIT_MS, async () => {
    const { bench } = await started();
    const session = await bench.join(9, "board1");
    const tls = await bench.certificate("board1");
    const device = await bench.open(session, "board1", { tls });
    const other = await bench.open(await bench.join(10, "board3"), "board3");
    bench.host.setRefused([serialOf(tls.cert)]);
    assert.match(await codeOf(device.write([data(1)], 0)), /^HAL_PEER_GONE/);
    const again = bench.open(session, "board1", { tls });
    assert.is(await codeOf(again), "HAL_PEER_REFUSED stranger");
    await other.write([data(2)], 0);
    bench.host.setRefused([]);
    for (const one of [device, other]) await one.close();
  }),
);

etcdTest(
  "a client without TLS gets nothing, not even a name",
  withTimeout(LIMIT_MS, async () => {
    const { bench } = await started();
    const [host = "", port = ""] = bench.host.address.split(":");
    const socket = connect({ host, port: Number(port) });
    await once(socket, "data");
    const flags = Buffer.from([0, 0, 0, 3]);
    // IHAVEOPT, NBD_OPT_LIST, no payload.
    socket.write(Buffer.concat([flags, Buffer.from("49484156454f50540000000300000000", "hex")]));
    const [reply] = (await once(socket, "data")) as [Buffer];
    assert.is(reply.readUInt32BE(12), 1, "NBD_REP_ACK at once: no export was listed");
    socket.destroy();
  }),
);

etcdTest(
  "a request that hangs delays the acknowledgement of its session's end, and nothing else",
  withTimeout(LIMIT_MS, async () => {
    const { bench } = await started();
    const hangs = await bench.open(await bench.join(3, "board1"), "board1");
    const session = await bench.join(4, "board3");
    const other = await bench.open(session, "board3");
    bench.faults.arm({
      kind: "stall",
      after: 0,
      count: 1,
      range: { offset: 65_536, length: 512 },
      stallMs: 3_600_000,
    });
    const hung = codeOf(hangs.write([data(7, 512)], 65_536));
    await eventually("the write is at the disk", WAIT_MS, async () => {
      const { connections } = await bench.host.view();
      return connections.some(({ peer, atDevice }) => peer === "board1" && atDevice === 1);
    });
    const gone = await bench.vanish(3);
    await eventually(
      "the disk is told to drain",
      WAIT_MS,
      () => bench.state?.draining.length === 1,
    );
    await other.write([data(8)], 0);
    await other.flush();
    const joined = await bench.join(5, "board1");
    const reader = await bench.open(joined, "board1", { mode: "read" });
    await reader.read(new Uint8Array(512), 0);
    assert.is(await codeOf(bench.open(joined, "board1")), "HAL_PEER_REFUSED busy");
    assert.is(await bench.fence(3), undefined);
    assert.equal(
      bench.state?.unacknowledged.map(({ slot }) => slot),
      [3],
    );
    bench.faults.disarmAll();
    assert.is(await bench.acknowledged(3), gone);
    assert.match(await hung, /^HAL_PEER_GONE/);
    const writer = await bench.open(joined, "board1");
    await writer.write([data(6)], 0);
    for (const device of [hangs, other, reader, writer]) await device.close();
  }),
);

etcdTest(
  "the board's own session is acknowledged when the board says that it has ended its use",
  withTimeout(LIMIT_MS, async () => {
    const { bench } = await started();
    bench.isOwnDrained = false;
    const session = await bench.join(6, "board2");
    await eventually("the exporter sees the session", WAIT_MS, async () => {
      const device = await bench.open(session, "board2", { mode: "read" });
      await device.close();
      return true;
    });
    const gone = await bench.vanish(6);
    const uuid = session.kind === "node" ? session.uuid : "";
    await eventually("the board is asked", WAIT_MS, () =>
      bench.ownFenced.includes(`${uuid} 6 ${gone}`),
    );
    assert.is(await bench.fence(6), undefined);
    bench.host.ownDrained(uuid, 6, gone);
    assert.is(await bench.acknowledged(6), gone);
    bench.isOwnDrained = true;
  }),
);

etcdTest(
  "without its store the board parks after 6 s, and goes on when it is back",
  withTimeout(LIMIT_MS, async () => {
    const { etcd, bench } = await started();
    const device = await bench.open(await bench.join(7, "board1"), "board1");
    const epoch = (await bench.serves()).epoch;
    await etcd.kill(0);
    await device.write([data(1)], 0);
    await eventually("the gate is closed", WAIT_MS, () => bench.state?.isOpen === false);
    const held = device.write([data(2)], 0);
    await eventually("the write waits, and not at the disk", WAIT_MS, async () => {
      const { connections } = await bench.host.view();
      return device.health.inFlight > 0 && connections.every(({ atDevice }) => atDevice === 0);
    });
    const first = await Promise.race([
      held.then(() => "done"),
      bench.host.view().then(() => "held"),
    ]);
    assert.is(first, "held");
    etcd.run(0);
    await held;
    const target = new Uint8Array(4096);
    await device.read(target, 0);
    assert.equal(target, data(2));
    assert.is((await bench.serves()).epoch, epoch, "in the same life");
    await device.close();
  }),
);

etcdTest(
  "another life of the board serves nobody of the one before",
  withTimeout(LIMIT_MS, async () => {
    const { bench } = await started();
    const session = await bench.join(8, "board1");
    const device = await bench.open(session, "board1");
    await device.write([data(1)], 0);
    const { epoch } = await bench.serves();
    await bench.expel();
    await eventually("the board lives again", WAIT_MS, async () => {
      const here = bench.boards.find(({ isHere }) => isHere);
      return bench.state?.isOpen === true && here !== undefined && here.epoch > epoch;
    });
    assert.match(await codeOf(device.write([data(2)], 0)), /^HAL_PEER_GONE/);
    const again = await bench.open(session, "board1");
    await again.write([data(3)], 0);
    await again.close();
    await device.close();
  }),
);

test.run();
