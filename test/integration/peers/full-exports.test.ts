/** Member exports that are full of copies leave the board its place in the cluster. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { PeerDevice } from "../../../src/peers/peer-device.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { ExporterBench } from "../../helpers/exporter-bench.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("full member exports");
const etcdTest = skipUnless(["etcd"], test);
const MIB = 1024 * 1024;
const LIMIT_MS = 120_000;
/** More than a lease lasts without them, and than a permission does: one comes each second. */
const CONFIRMATIONS = 12;
const REQUESTS_UNDER_WAY = 8;

/** Writes and reads as much as the device takes, until it is over; the bytes. */
const fill = async (device: PeerDevice, isOver: () => boolean): Promise<number> => {
  let bytes = 0;
  const data = new Uint8Array(MIB).fill(7);
  const run = async (lane: number): Promise<void> => {
    const target = new Uint8Array(MIB);
    for (let at = lane; !isOver(); at += 1) {
      const offset = (at % 8) * MIB;
      if (at % 2 === 0) await device.write([data], offset);
      else await device.read(target, offset);
      bytes += MIB;
    }
  };
  await Promise.all(Array.from({ length: REQUESTS_UNDER_WAY }, (_, lane) => run(lane)));
  return bytes;
};

etcdTest(
  "confirmations come in time while peers copy as much as the exporter can carry",
  withTimeout(LIMIT_MS, async () => {
    const etcd = await EtcdCluster.start(1);
    const bench = await ExporterBench.start(etcd);
    try {
      const { epoch } = await bench.serves();
      const devices: PeerDevice[] = [];
      for (const slot of [1, 2, 3]) {
        const session = await bench.join(slot, `peer${slot}`);
        devices.push(await bench.open(session, `peer${slot}`));
      }
      const before = { confirmed: await bench.confirmations(), closings: bench.closings };
      let isOver = false;
      const copied = devices.map((device) => fill(device, () => isOver));
      await eventually("the board goes on confirming", LIMIT_MS, async () => {
        return (await bench.confirmations()) >= before.confirmed + CONFIRMATIONS;
      });
      isOver = true;
      const bytes = await Promise.all(copied);
      assert.ok(
        bytes.every((count) => count > 16 * MIB),
        `every peer copied: ${bytes.map((count) => count / MIB).join(", ")} MiB`,
      );
      assert.is(bench.closings, before.closings, "the gate was open all the time");
      assert.is((await bench.serves()).epoch, epoch, "it is the same life");
      for (const device of devices) await device.close();
    } finally {
      await bench.stop();
      await etcd.stop();
    }
  }),
);

test.run();
