/**
 * Connections to a real exporter that break while a request hangs at its disk: what replaces them
 * is admitted only after that request, so no late write ever meets a newer one.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { readBack, same } from "../../conformance/block-device-subject.ts";
import { CutProxy } from "../../helpers/cut-proxy.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { ExporterBench } from "../../helpers/exporter-bench.ts";
import { QUICK_CLOCK } from "../../helpers/quick-clock.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("peers: reconnecting");
const etcdTest = skipUnless(["etcd"], test);
const LIMIT_MS = 60_000;
const WAIT_MS = 20_000;
const HUNG = { offset: 65_536, length: 4096 };

const data = (value: number): Uint8Array => new Uint8Array(4096).fill(value);

interface Fixture {
  readonly bench: ExporterBench;
  readonly proxy: CutProxy;
  /** The next write of HUNG hangs at the disk until the faults are disarmed. */
  hang(): void;
  /** Resolves when so many requests are at the disk, of connections that have ended or not. */
  atDevice(requests: number): Promise<void>;
  /** Resolves when connections wait to be admitted. */
  asking(): Promise<void>;
}

const onExporter = (body: (fixture: Fixture) => Promise<void>) =>
  withTimeout(LIMIT_MS, async () => {
    const etcd = await EtcdCluster.start(1);
    const bench = await ExporterBench.start(etcd);
    const proxy = await CutProxy.start(`http://${bench.host.address}`);
    try {
      await body({
        bench,
        proxy,
        hang: () =>
          bench.faults.arm({ kind: "stall", after: 0, count: 1, range: HUNG, stallMs: 3_600_000 }),
        atDevice: async (requests) => {
          await eventually(`${requests} requests are at the disk`, WAIT_MS, async () => {
            const { connections } = await bench.host.view();
            return connections.reduce((sum, { atDevice }) => sum + atDevice, 0) === requests;
          });
        },
        asking: async () => {
          await eventually("connections wait to be admitted", WAIT_MS, async () => {
            const { connections } = await bench.host.view();
            return connections.some(({ state, waits }) => state === "asking" && waits !== null);
          });
        },
      });
    } finally {
      bench.faults.disarmAll();
      await proxy.close();
      await bench.stop();
      await etcd.stop();
    }
  });

etcdTest(
  "a connection that replaces a broken one is admitted after the old one's requests",
  onExporter(async ({ bench, proxy, hang, atDevice, asking }) => {
    const { port } = proxy;
    const device = await bench.open(await bench.join(1, "board1"), "board1", { port });
    hang();
    let isDone = false;
    const hung = device.write([data(1)], HUNG.offset).then(() => {
      isDone = true;
    });
    await atDevice(1);
    proxy.drop();
    await asking();
    assert.equal([device.health.state, device.health.waiting], ["reconnecting", 1]);
    assert.is(isDone, false, "the answer was lost with its connection");
    bench.faults.disarmAll();
    await hung;
    await eventually("both are made anew", WAIT_MS, () => device.health.reconnects === 2);
    same(await readBack(device, HUNG.offset, 4096), data(1), "it was carried out");
    await device.close();
  }),
);

etcdTest(
  "a write of a device that was given up never comes after those of the one opened next",
  onExporter(async ({ bench, proxy, hang, atDevice, asking }) => {
    const session = await bench.join(1, "board1");
    const options = { port: proxy.port, clock: QUICK_CLOCK };
    const device = await bench.open(session, "board1", options);
    hang();
    const hung = device.write([data(1)], HUNG.offset);
    await atDevice(1);
    proxy.cut();
    const code = await hung.then(
      () => "no error",
      (error: unknown) => (error instanceof CodedError ? error.code : String(error)),
    );
    assert.is(code, "HAL_PEER_GONE");
    await device.close();
    let isOpen = false;
    const opened = bench.open(session, "board1").then((next) => {
      isOpen = true;
      return next;
    });
    await asking();
    await atDevice(1);
    assert.is(isOpen, false, "the late write comes first");
    bench.faults.disarmAll();
    const next = await opened;
    await next.write([data(2)], HUNG.offset);
    same(await readBack(next, HUNG.offset, 4096), data(2), "the newer write stays");
    await next.close();
  }),
);

test.run();
