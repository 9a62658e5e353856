/** A peer's disk when connections break, boards go or cheat: what callers see, and what is left. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MONOTONIC_CLOCK } from "../../../src/cluster/store/monotonic-clock-driver.ts";
import type { StoreClock } from "../../../src/cluster/store/store-clock.ts";
import { CodedError } from "../../../src/common/errors.ts";
import { PeerDevice } from "../../../src/peers/peer-device.ts";
import { codeOf, pattern, readBack, same } from "../../conformance/block-device-subject.ts";
import { CutProxy } from "../../helpers/cut-proxy.ts";
import { ManualClock } from "../../helpers/manual-clock.ts";
import { MemberServer, makeBoardCertificates } from "../../helpers/member-server.ts";
import { MemoryBackend } from "../../helpers/memory-backend.ts";
import { concat, u, utf8 } from "../../helpers/nbd-messages.ts";
import { QUICK_CLOCK } from "../../helpers/quick-clock.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("peers: peer device");

const MIB = 2 ** 20;
const LIMIT_MS = 60_000;

interface Fixture {
  readonly server: MemberServer;
  readonly backend: MemoryBackend;
  readonly proxy: CutProxy;
  /** Through the proxy; closed after the test. */
  open(clock?: StoreClock): Promise<PeerDevice>;
}

const onBoard = (body: (fixture: Fixture) => Promise<void>) =>
  withTimeout(LIMIT_MS, async () => {
    const backend = new MemoryBackend({ sizeBytes: 4 * MIB });
    const disk2 = new MemoryBackend({ sizeBytes: MIB });
    const server = await MemberServer.start({ disks: { disk1: backend, disk2 } });
    const proxy = await CutProxy.start(`http://127.0.0.1:${server.port}`);
    const devices: PeerDevice[] = [];
    const open = async (clock: StoreClock = MONOTONIC_CLOCK): Promise<PeerDevice> => {
      const ticket = server.ticket("disk1", proxy.port);
      const device = await PeerDevice.open(ticket, server.access(), "write", clock);
      devices.push(device);
      return device;
    };
    try {
      await body({ server, backend, proxy, open });
    } finally {
      backend.setPace("at-once");
      backend.release();
      server.admit();
      proxy.thaw();
      for (const device of devices) await device.close();
      await proxy.close();
      await server.close();
    }
  });

/** The error that a call fails with. */
const failureOf = async (call: Promise<unknown>): Promise<CodedError> => {
  try {
    await call;
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  throw new Error("it did not fail");
};

test(
  "calls go on over connections that break under load, and nothing is lost or mixed up",
  onBoard(async ({ backend, proxy, open }) => {
    backend.setPace("soon");
    const device = await open();
    await withSeeds({ fixed: [1], more: 1 }, async (prng) => {
      const bytes = new Uint8Array(MIB);
      await device.write([bytes], 0);
      const still = pattern(MIB, 5);
      await device.write([still], MIB);
      for (let round = 0; round < 15; round++) {
        const calls: Promise<void>[] = [];
        for (let at = 0; at < MIB; ) {
          const data = prng.bytes(Math.min(MIB - at, 1 + prng.below(60_000)));
          bytes.set(data, at);
          calls.push(device.write([data.subarray(0, 100), data.subarray(100)], at));
          at += data.length;
        }
        calls.push(device.flush());
        const reads = Array.from({ length: 4 }, () => readBack(device, MIB, MIB));
        const cut = (): void => (round % 3 === 0 ? proxy.halfClose() : proxy.drop());
        // At once, or when some reads are under way for long.
        if (round % 2 === 0) setImmediate(cut);
        else void Promise.race(reads).then(cut, cut);
        await Promise.all(calls);
        same(await readBack(device, 0, MIB), bytes, `round ${round}`);
        for (const read of reads) same(await read, still, `beside it in round ${round}`);
      }
      same(backend.content.subarray(0, MIB), bytes, "what the peer has");
    });
    const { state, inFlight, waiting, reconnects, lastError, latencyMs } = device.health;
    assert.equal([state, inFlight, waiting], ["up", 0, 0]);
    assert.ok(reconnects >= 15, `${reconnects} connections were made anew`);
    assert.is(lastError?.code, "HAL_PEER_UNREACHABLE");
    assert.ok(latencyMs !== null && latencyMs > 0);
  }),
);

test(
  "a write under way is sent again on the connection that replaces its own, and only there",
  onBoard(async ({ server, backend, proxy, open }) => {
    const device = await open();
    backend.setPace("held");
    let isDone = false;
    const write = device.write([pattern(512, 1)], 0).then(() => {
      isDone = true;
    });
    await eventually("it is at the disk", 5_000, () => backend.heldCalls === 1);
    server.isHolding = true;
    const asked = server.asked.length;
    proxy.drop();
    await eventually("both ask again", 5_000, () => server.asked.length >= asked + 2);
    assert.equal([device.health.state, device.health.waiting], ["reconnecting", 1]);
    const names = new Set(server.asked.slice(0, asked));
    assert.is(names.size, 2, "each connection has its name");
    assert.ok(server.asked.slice(asked).every((name) => names.has(name)));
    backend.release();
    assert.is(isDone, false, "the answer was lost with its connection");
    server.admit();
    await eventually("it is sent again", 5_000, () => backend.heldCalls === 1);
    backend.setPace("at-once");
    backend.release();
    await write;
    assert.equal(backend.calls, ["write 0+512", "write 0+512"]);
  }),
);

test(
  "what cannot be connected again is given up: each call fails once, and all later ones",
  onBoard(async ({ backend, proxy, open }) => {
    const device = await open(QUICK_CLOCK);
    backend.setPace("held");
    const calls = Array.from({ length: 200 }, (_, at) =>
      failureOf(device.write([new Uint8Array(64 * 1024)], (at % 16) * 64 * 1024)),
    );
    await eventually("some are at the disk", 5_000, () => backend.heldCalls > 0);
    assert.ok(device.health.waiting > 0, "there is no room for all");
    proxy.cut();
    const failures = await Promise.all(calls);
    assert.equal([...new Set(failures.map(({ code }) => code))], ["HAL_PEER_GONE"]);
    assert.is(failures[0]?.details["reason"], "HAL_PEER_UNREACHABLE");
    assert.is((await device.gone).code, "HAL_PEER_GONE");
    const { state, connections, inFlight, waiting } = device.health;
    assert.equal([state, connections, inFlight, waiting], ["gone", 0, 0, 0]);
    proxy.mend();
    backend.setPace("at-once");
    backend.release();
    for (const call of [
      () => device.read(new Uint8Array(1), 0),
      () => device.write([new Uint8Array(1)], 0),
      () => device.flush(),
      () => device.zero(0, 4096, true),
    ])
      assert.is(await codeOf(call), "HAL_PEER_GONE", "for good");
    await device.close();
    assert.is(await codeOf(() => device.flush()), "HAL_DEVICE_CLOSED");
  }),
);

test(
  "so much is under way and no more; the rest waits its turn, small calls behind large ones too",
  onBoard(async ({ backend, open }) => {
    const device = await open();
    backend.setPace("held");
    const ends: number[] = [];
    const write = async (length: number, index: number): Promise<void> => {
      await device.write([new Uint8Array(length)], 0);
      ends.push(index);
    };
    const room = 128;
    // A write of a MiB goes in pieces, so that each is answered soon on a slow link.
    for (const [length, pieces, count] of [
      [512, 1, 300],
      [MIB, 8, 60],
    ] as const) {
      const calls = Array.from({ length: count }, (_, index) => write(length, index));
      const small = write(512, count);
      const all = count * pieces + 1;
      await eventually("all that has room is there", 10_000, () => backend.heldCalls === room);
      assert.equal([device.health.inFlight, device.health.waiting], [room, all - room]);
      for (let done = 0; done < all; done += room) {
        const left = Math.min(room, all - done);
        await eventually("the next ones follow", 10_000, () => backend.heldCalls === left);
        backend.release();
      }
      await Promise.all([...calls, small]);
      const late = ends.splice(0).map((index, turn) => Math.abs(index - turn));
      assert.ok(Math.max(...late) < 2 * room, "none is overtaken by many");
    }
  }),
);

test(
  "another life of the board ends the device at once",
  onBoard(async ({ server, proxy, open }) => {
    const device = await open();
    server.life = 8;
    proxy.drop();
    await eventually("it is gone", 4_000, () => device.health.state === "gone");
    const error = await failureOf(device.read(new Uint8Array(512), 0));
    assert.is(error.code, "HAL_PEER_GONE");
    assert.is(error.details["reason"], "HAL_PEER_REFUSED");
    server.life = 7;
    await (await open()).close();
  }),
);

test(
  "a peer that is silent is given up, one with a slow disk is not",
  onBoard(async ({ backend, proxy, open }) => {
    const device = await open(QUICK_CLOCK);
    backend.setPace("held");
    const slow = device.write([pattern(512, 1)], 0);
    await eventually("its disk is slow", 5_000, () => backend.heldCalls === 1);
    // Much longer than silence is borne.
    await new Promise<void>((resolve) => QUICK_CLOCK.after(25_000, resolve));
    assert.equal([device.health.inFlight, device.health.reconnects], [1, 0], "it is waited for");
    backend.release();
    await slow;
    const other = failureOf(device.write([pattern(512, 2)], 0));
    proxy.freeze();
    assert.is((await other).code, "HAL_PEER_GONE");
    assert.is(device.health.state, "gone");
  }),
);

test(
  "a peer that speaks and lets nobody in yet is waited for longer than one that says nothing",
  onBoard(async ({ server, proxy, open }) => {
    for (const isThere of [true, false]) {
      const clock = new ManualClock();
      const device = await open(clock);
      const failed = failureOf(device.write([pattern(512, 1)], 0));
      proxy.freeze();
      // The first look is too early to tell anything.
      await clock.pass(500 + 3000);
      assert.is(device.health.connections, 1, "3 s of silence end a connection");
      server.isHolding = true;
      const asked = server.asked.length;
      if (isThere) {
        proxy.thaw();
        await eventually("it asks again", 5_000, () => server.asked.length > asked);
      }
      await clock.pass(2500);
      assert.is(device.health.state, "reconnecting");
      await clock.pass(500);
      assert.is(device.health.state, isThere ? "reconnecting" : "gone");
      await clock.pass(2000);
      assert.is((await failed).code, "HAL_PEER_GONE");
      proxy.thaw();
      server.admit();
    }
  }),
);

test(
  "a network that is silent for a moment only costs that moment",
  onBoard(async ({ proxy, open }) => {
    const device = await open(QUICK_CLOCK);
    proxy.freeze();
    const write = device.write([pattern(4096, 3)], 0);
    await new Promise<void>((resolve) => QUICK_CLOCK.after(2_000, resolve));
    proxy.thaw();
    await write;
    same(await readBack(device, 0, 4096), pattern(4096, 3), "it is there");
  }),
);

test(
  "what another thread found silent is asked at once, and given up if it does not answer",
  onBoard(async ({ backend, proxy, open }) => {
    const device = await open();
    backend.setPace("held");
    const slow = device.write([pattern(512, 1)], 0);
    await eventually("its disk is slow", 5_000, () => backend.heldCalls === 1);
    device.doubt();
    await new Promise<void>((resolve) => QUICK_CLOCK.after(3_000, resolve));
    assert.is(device.health.state, "up", "whatever its disk does, the board answers");
    backend.release();
    await slow;
    proxy.freeze();
    let isTold = false;
    void device.silent.then(() => {
      isTold = true;
    });
    device.doubt();
    // Nothing is asked of it meanwhile.
    await eventually("it is given up", 5_000, () => device.health.state === "gone");
    await eventually("that is told", 5_000, () => isTold);
    assert.is((await failureOf(device.flush())).code, "HAL_PEER_GONE");
  }),
);

test(
  "certificates decide who talks to whom",
  onBoard(async ({ server, open }) => {
    const ticket = server.ticket("disk1");
    const access = server.access();
    const other = await makeBoardCertificates();
    const opened = (changed: object, tls = {}) =>
      failureOf(
        PeerDevice.open(
          { ...ticket, ...changed },
          { ...access, tls: { ...access.tls, ...tls } },
          "write",
        ),
      );
    assert.is((await opened({ board: "board3" })).code, "HAL_PEER_UNTRUSTED", "another board");
    assert.is((await opened({}, { ca: other.ca.cert })).code, "HAL_PEER_UNTRUSTED");
    assert.is((await opened({}, { cert: "none" })).code, "HAL_PEER_UNTRUSTED");
    // A server that does not like a certificate just hangs up.
    const stranger = await opened({}, other.of.board1);
    assert.match(stranger.code, /^HAL_PEER_(UNTRUSTED|UNREACHABLE)$/);
    assert.match(stranger.message, /certificate/);
    assert.is(server.asked.length, 0, "nobody got as far as to ask");
    await (await open()).close();
  }),
);

test(
  "what is not what was asked for is not used",
  onBoard(async ({ server, backend }) => {
    const ticket = server.ticket("disk1");
    const opened = (changed: object) =>
      failureOf(PeerDevice.open({ ...ticket, ...changed }, server.access(), "write"));
    assert.is((await opened({ sizeBytes: backend.sizeBytes + 1 })).code, "HAL_PEER_UNFIT");
    assert.is((await opened({ disk: "disk3" })).code, "HAL_PEER_REFUSED");
    assert.is((await opened({ port: 1 })).code, "HAL_PEER_UNREACHABLE");
    await eventually("no connection is left", 5_000, () => server.clients === 0);
  }),
);

test(
  "a disk that has grown is measured over connections that are made anew, calls going on",
  onBoard(async ({ server, backend, proxy }) => {
    let now = 0;
    const clock = { ...MONOTONIC_CLOCK, now: () => now };
    const small = { ...server.ticket("disk1", proxy.port), disk: "disk2", sizeBytes: MIB };
    const device = await PeerDevice.open(small, server.access(), "write", clock);
    const asked = server.asked.length;
    await device.measure();
    assert.is(server.asked.length, asked, "what was just opened is not measured");
    server.serve("disk2", backend);
    assert.is(device.sizeBytes, MIB);
    assert.is(await codeOf(() => device.read(new Uint8Array(1), MIB)), "HAL_OUT_OF_RANGE");
    now = 10_000;
    const calls = Array.from({ length: 300 }, (_, at) =>
      device.write([pattern(512, at)], at * 512),
    );
    const measured = device.measure();
    for (let at = 300; at < 400; at++) calls.push(device.write([pattern(512, at)], at * 512));
    await Promise.all([measured, ...calls]);
    assert.is(device.sizeBytes, 4 * MIB);
    await device.write([pattern(512, 1)], 4 * MIB - 512);
    same(await readBack(device, 4 * MIB - 512, 512), pattern(512, 1), "the new end");
    assert.equal([device.health.state, device.health.reconnects], ["up", 0]);
    await device.close();
  }),
);

test(
  "closing waits for the peer's answers, but not for its return",
  onBoard(async ({ server, backend, proxy, open }) => {
    const device = await open();
    backend.setPace("held");
    const write = device.write([pattern(512, 1)], 0);
    await eventually("it is at the disk", 5_000, () => backend.heldCalls === 1);
    const closed = device.close();
    assert.is(await codeOf(() => device.flush()), "HAL_DEVICE_CLOSED");
    backend.release();
    await Promise.all([write, closed]);
    assert.is(server.clients, 0, "it has said good-bye");

    const lone = await open();
    const pending = failureOf(lone.write([pattern(512, 2)], 0));
    await eventually("it is at the disk", 5_000, () => backend.heldCalls === 1);
    proxy.cut();
    await eventually("it is missed", 5_000, () => lone.health.connections === 0);
    await lone.close();
    assert.is((await pending).code, "HAL_DEVICE_CLOSED");
  }),
);

/** A server by hand, in the clear: greets, agrees to nothing but the export, then does `then`. */
const withFalseServer = async (
  then: (socket: Socket, request: Uint8Array) => void,
  body: (device: PeerDevice) => Promise<void>,
): Promise<void> => {
  const goReply = (type: number, payload = u()): Uint8Array =>
    concat(u(8, 0x3e889045565a9, 4, 7, 4, type, 4, payload.length), payload);
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.write(concat(utf8("NBDMAGICIHAVEOPT"), u(2, 3)));
    let stage = 0;
    socket.on("data", (chunk: Buffer) => {
      stage += 1;
      if (stage === 1) socket.write(u(8, 0x3e889045565a9, 4, 8, 4, 0x8000_0001, 4, 0));
      else if (stage === 2) {
        // Flags: flush, FUA, write zeroes.
        socket.write(concat(goReply(3, u(2, 0, 8, 64 * MIB, 2, 0b100_1101)), goReply(1)));
      } else then(socket, chunk);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const address = { host: "127.0.0.1", port };
  try {
    const device = await PeerDevice.over({
      ...{
        name: "false",
        mode: "write",
        sizeBytes: MIB,
        logicalBlockSize: 512,
        clock: QUICK_CLOCK,
      },
      target: () => ({ server: "false", address, exportName: "", tls: null }),
    });
    await body(device);
    await device.close();
  } finally {
    server.close();
  }
};

test(
  "a peer that breaks the protocol is given up at once",
  withTimeout(LIMIT_MS, async () => {
    for (const reply of [
      u(4, 0x12345678, 4, 0, 8, 0),
      u(4, 0x67446698, 4, 0, 8, 99),
      u(4, 0x67446698, 4, 0, 4, 2, 4, 64),
    ]) {
      await withFalseServer(
        (socket) => socket.write(reply),
        async (device) => {
          const error = await failureOf(device.read(new Uint8Array(512), 0));
          assert.equal([error.code, error.details["reason"]], ["HAL_PEER_GONE", "HAL_PEER_UNFIT"]);
        },
      );
    }
  }),
);

test(
  "what was given up is not sent later: the peer sees a reset",
  withTimeout(LIMIT_MS, async () => {
    const ended = Promise.withResolvers<unknown>();
    let isFirst = true;
    await withFalseServer(
      (socket) => {
        if (!isFirst) return;
        isFirst = false;
        socket.pause();
        socket.on("end", () => ended.resolve("end"));
        socket.on("error", (error) => ended.resolve((error as NodeJS.ErrnoException).code));
        void gone.promise.then(() => socket.resume());
      },
      async (device) => {
        const writes = Array.from({ length: 32 }, (_, at) =>
          failureOf(device.write([new Uint8Array(MIB)], at * MIB)),
        );
        for (const write of writes) assert.is((await write).code, "HAL_PEER_GONE");
        gone.resolve();
        assert.is(await ended.promise, "ECONNRESET");
      },
    );
  }),
);

const gone = Promise.withResolvers<void>();

test.run();
