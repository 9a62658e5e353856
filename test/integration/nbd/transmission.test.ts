/**
 * The transmission phase over real sockets, command by command, spoken by a hand-written client:
 * replies byte for byte, errors, order, and what reaches the back end.
 */
import { once } from "node:events";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withNbdServer } from "../../helpers/nbd-fixture.ts";
import { concat, errorOf, integers, requestBytes } from "../../helpers/nbd-messages.ts";
import { RawNbdClient } from "../../helpers/raw-nbd-client.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("nbd: transmission");

const READ = 0;
const WRITE = 1;
const DISC = 2;
const FLUSH = 3;
const TRIM = 4;
const CACHE = 5;
const WRITE_ZEROES = 6;
const BLOCK_STATUS = 7;
const FUA = 1;
const NO_HOLE = 2;
const DF = 4;
const REQ_ONE = 8;
const FAST_ZERO = 16;
const MIB = 2 ** 20;

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

const roomMade: number[] = [];
const makeRoom = (_fd: number, bytes: number): void => void roomMade.push(bytes);

test(
  "a unix socket gets room for long replies with the first one asked for, once",
  withNbdServer({ server: { makeRoom } }, async ({ attach, port }) => {
    const local = await attach();
    const remote = await RawNbdClient.attach({ port }, "md0");
    roomMade.length = 0;
    for (const [client, length, made] of [
      [local, 65_535, 0],
      [remote, 65_536, 0],
      [local, 65_536, 1],
      [local, MIB, 1],
    ] as const) {
      client.send(requestBytes({ command: READ, length, cookie: 1 }));
      await client.read(16 + length);
      assert.is(roomMade.length, made, `${length} bytes`);
    }
    remote.close();
  }),
);

test(
  "carries every command out and answers it with its cookie",
  withNbdServer({}, async ({ attach, backend }) => {
    const client = await attach();
    const payload = filled(512, 7);
    const rows = [
      { command: WRITE, offset: 512, payload },
      { command: WRITE, offset: 1024, payload, flags: FUA },
      { command: FLUSH },
      { command: TRIM, offset: 4096, length: 4096, flags: FUA },
      { command: WRITE_ZEROES, offset: 8192, length: 512 },
      { command: WRITE_ZEROES, offset: 8192, length: 512, flags: NO_HOLE | FUA },
      { command: WRITE_ZEROES, offset: 8192, length: 512, flags: FAST_ZERO },
      { command: CACHE, offset: 0, length: MIB },
    ];
    for (const [index, row] of rows.entries()) {
      const cookie = 2 ** 52 + index;
      assert.equal(await client.ask({ ...row, cookie }), { errno: 0, cookie });
    }
    assert.equal(backend.calls, [
      "write 512+512",
      "write 1024+512 fua",
      "flush 0+0",
      "trim 4096+4096 fua",
      "zeroes 8192+512 punch",
      "zeroes 8192+512 fua",
      "zeroes 8192+512 punch",
      `cache 0+${MIB}`,
    ]);
    client.request({ command: READ, offset: 500, length: 24, cookie: 9 });
    assert.equal(await client.simpleReply(), { errno: 0, cookie: 9 });
    assert.equal(await client.read(24), concat(filled(12, 0), filled(12, 7)));
  }),
);

test(
  "a fast zero that would not be fast is refused with ENOTSUP",
  withNbdServer({}, async ({ attach }) => {
    const client = await attach();
    const flags = FAST_ZERO | NO_HOLE;
    const { errno } = await client.ask({ command: WRITE_ZEROES, offset: 0, length: 512, flags });
    assert.is(errno, 95);
  }),
);

test(
  "reads structured: one data chunk, also with DF",
  withNbdServer({}, async ({ attach, backend }) => {
    backend.content.fill(5, 100, 200);
    const client = await attach({ structured: true });
    for (const flags of [0, DF]) {
      client.request({ command: READ, flags, offset: 100, length: 100, cookie: 3 });
      const chunk = await client.chunk();
      assert.equal([chunk.isLast, chunk.type, chunk.cookie], [true, 1, 3]);
      assert.equal(integers(chunk.payload, 8), [100]);
      assert.equal(chunk.payload.slice(8), filled(100, 5));
    }
  }),
);

test(
  "tells a back end's error of every command, with the place and a sentence when structured",
  withNbdServer({ backend: { fault: () => 5 } }, async ({ attach, server }) => {
    const simple = await attach();
    const structured = await attach({ structured: true });
    for (const command of [READ, WRITE, FLUSH, TRIM, CACHE, WRITE_ZEROES]) {
      const isFlush = command === FLUSH;
      const payload = command === WRITE ? filled(512, 1) : undefined;
      const range = isFlush ? {} : { offset: 4096, length: 512 };
      const parts = { command, cookie: 77, ...range, ...(payload ? { payload } : {}) };
      assert.equal(await simple.ask(parts), { errno: 5, cookie: 77 });
      structured.request(parts);
      const chunk = await structured.chunk();
      const type = isFlush ? 0x8001 : 0x8002;
      assert.equal([chunk.isLast, chunk.type, chunk.cookie], [true, type, 77]);
      const { errno, message, offset } = errorOf(chunk);
      assert.equal([errno, offset], [5, isFlush ? undefined : 4096]);
      assert.match(message, /input\/output error/);
    }
    assert.is(server.counters().nbdRequests["write:5"], 2);
  }),
);

test(
  "an error number that the protocol does not have is told as EIO",
  withNbdServer({ backend: { fault: () => 4242 } }, async ({ attach }) => {
    const client = await attach();
    assert.is((await client.ask({ command: FLUSH })).errno, 5);
  }),
);

test(
  "refuses what breaks a rule before the back end sees it, and goes on",
  withNbdServer({ entry: { maximumPayload: 65_536 } }, async ({ attach, backend }) => {
    const simple = await attach();
    const structured = await attach({ structured: true });
    const rows = [
      [{ command: 99 }, 22],
      [{ command: READ, flags: NO_HOLE, length: 512 }, 22],
      [{ command: READ, offset: MIB, length: 512 }, 22],
      [{ command: READ, length: 65_537 }, 22],
      [{ command: FLUSH, length: 1 }, 22],
      [{ command: TRIM, offset: MIB, length: 1 }, 22],
      [{ command: WRITE_ZEROES, offset: MIB, length: 1 }, 28],
      [{ command: WRITE, offset: MIB - 1, payload: filled(2, 1) }, 28],
      [{ command: WRITE, payload: filled(65_537, 1) }, 22],
      [{ command: WRITE, flags: REQ_ONE, payload: filled(512, 1) }, 22],
      [{ command: BLOCK_STATUS, length: 512 }, 22],
    ] as const;
    for (const [parts, expected] of rows) {
      assert.equal(await simple.ask({ ...parts, cookie: 1 }), { errno: expected, cookie: 1 });
      structured.request({ ...parts, cookie: 2 });
      const chunk = await structured.chunk();
      assert.equal([chunk.isLast, chunk.type, chunk.cookie], [true, 0x8001, 2]);
      assert.is(errorOf(chunk).errno, expected);
    }
    structured.request({ command: READ, flags: DF, length: 65_537 });
    assert.is(errorOf(await structured.chunk()).errno, 75);
    assert.equal(backend.calls, []);
    assert.is((await simple.ask({ command: FLUSH })).errno, 0);
  }),
);

test(
  "a read-only export refuses every write and skips its payload",
  withNbdServer({ backend: { readOnly: true } }, async ({ attach, backend }) => {
    const client = await attach();
    const payload = requestBytes({ command: FLUSH });
    assert.is((await client.ask({ command: WRITE, payload })).errno, 1);
    assert.is((await client.ask({ command: TRIM, length: 512 })).errno, 1);
    assert.is((await client.ask({ command: WRITE_ZEROES, length: 512 })).errno, 1);
    assert.equal(backend.calls, []);
    assert.is((await client.ask({ command: FLUSH })).errno, 0);
  }),
);

test(
  "understands requests cut at any byte",
  withNbdServer({}, async ({ attach, backend }) => {
    const client = await attach();
    client.socket.setNoDelay(true);
    const payload = Uint8Array.from({ length: 40 }, (_, index) => index + 1);
    const write = requestBytes({ command: WRITE, offset: 64, payload, cookie: 5 });
    for (let cut = 1; cut < write.length; cut += 1) {
      backend.content.fill(0);
      client.send(write.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.send(write.subarray(cut));
      assert.equal(await client.simpleReply(), { errno: 0, cookie: 5 });
      assert.equal(backend.content.slice(64, 104), payload, `cut at ${cut}`);
    }
  }),
);

test("random writes and reads over several connections give back what was written", async () => {
  const body = withNbdServer({ backend: { pace: "soon" } }, async ({ attach, backend, path }) => {
    await withSeeds({ fixed: [1], more: 2 }, async (prng) => {
      const mirror = backend.content.slice();
      const tcp = await RawNbdClient.attach({ path }, "md0");
      const clients = [await attach(), await attach(), tcp];
      for (let turn = 0; turn < 60; turn += 1) {
        const client = clients[prng.below(clients.length)] ?? tcp;
        const burst = Array.from({ length: 1 + prng.below(12) }, (_, slot) => {
          // Each request has a range of its own, so that their order does not matter.
          const offset = slot * 80_000 + prng.below(20_000);
          const payload = filled(1 + prng.below(60_000), prng.below(256));
          return { command: WRITE, offset, payload, cookie: slot, flags: prng.below(2) };
        });
        client.send(concat(...burst.map(requestBytes)));
        for (const { offset, payload } of burst) {
          mirror.set(payload, offset);
          assert.is((await client.simpleReply()).errno, 0);
        }
        const offset = prng.below(MIB - 1);
        const length = 1 + prng.below(MIB - offset);
        client.request({ command: READ, offset, length });
        assert.is((await client.simpleReply()).errno, 0);
        const got = await client.read(length);
        assert.is(Buffer.compare(got, mirror.subarray(offset, offset + length)), 0);
      }
      tcp.close();
    });
  });
  await body();
});

test(
  "replies come as the back end completes, not in the order of the requests",
  withNbdServer({ backend: { pace: "held" } }, async ({ attach, backend }) => {
    const client = await attach();
    client.request({ command: READ, length: 512, cookie: 1 });
    await eventually("the read arrives", 5_000, () => backend.heldCalls === 1);
    backend.setPace("at-once");
    assert.equal(await client.ask({ command: FLUSH, cookie: 2 }), { errno: 0, cookie: 2 });
    backend.release();
    assert.equal(await client.simpleReply(), { errno: 0, cookie: 1 });
    await client.read(512);
  }),
);

test(
  "DISC waits for the requests under way, answers them and closes",
  withNbdServer({ backend: { pace: "held" } }, async ({ attach, backend, server }) => {
    const client = await attach();
    client.send(
      concat(
        requestBytes({ command: WRITE, payload: filled(512, 9), cookie: 1 }),
        requestBytes({ command: DISC }),
        requestBytes({ command: WRITE, payload: filled(512, 1), cookie: 2 }),
      ),
    );
    await eventually("the write arrives", 5_000, () => backend.heldCalls === 1);
    assert.is(client.available, 0);
    backend.release();
    assert.equal(await client.simpleReply(), { errno: 0, cookie: 1 });
    assert.is((await client.untilClosed()).length, 0);
    client.close();
    await eventually("the client is gone", 5_000, () => server.clients().length === 0);
    assert.equal(backend.calls, ["write 0+512"]);
  }),
);

test(
  "a client that shuts down its sending side still gets its replies",
  withNbdServer({ backend: { pace: "soon" } }, async ({ attach }) => {
    const client = await attach();
    client.request({ command: READ, length: 4096, cookie: 1 });
    client.socket.end();
    assert.equal(await client.simpleReply(), { errno: 0, cookie: 1 });
    assert.is((await client.read(4096)).length, 4096);
    assert.is((await client.untilClosed()).length, 0);
  }),
);

test(
  "a client that vanishes leaves its buffers to the back end until it is done",
  withNbdServer({ backend: { pace: "held" } }, async ({ attach, backend, port, server }) => {
    const client = await RawNbdClient.attach({ port }, "md0");
    client.request({ command: WRITE, offset: 4096, payload: filled(8192, 0x5a) });
    client.request({ command: READ, length: 4096 });
    await eventually("both arrive", 5_000, () => backend.heldCalls === 2);
    client.socket.resetAndDestroy();
    await once(client.socket, "close");
    // Another connection reads and writes meanwhile: it must not get the same memory.
    const other = await attach();
    backend.setPace("at-once");
    for (let turn = 0; turn < 50; turn += 1) {
      const payload = filled(16_384, 0xee);
      assert.is((await other.ask({ command: WRITE, offset: 65_536, payload })).errno, 0);
      other.request({ command: READ, offset: 131_072, length: 16_384 });
      assert.is((await other.simpleReply()).errno, 0);
      assert.equal(await other.read(16_384), filled(16_384, 0));
    }
    assert.is(server.clients().length, 2);
    const state = { isClosed: false };
    const closed = server.closeExport("md0").then(() => {
      state.isClosed = true;
    });
    await other.untilClosed();
    other.close();
    await eventually("one is left", 5_000, () => server.clients().length === 1);
    assert.is(state.isClosed, false);
    backend.release();
    await closed;
    assert.equal(backend.content.slice(4096, 12_288), filled(8192, 0x5a));
  }),
);

test(
  "counts requests, bytes and clients",
  withNbdServer({ server: { idPrefix: "w1-" } }, async ({ attach, server, port }) => {
    const client = await attach();
    const tcp = await RawNbdClient.attach({ port }, "");
    await client.ask({ command: WRITE, payload: filled(1000, 1) });
    client.request({ command: READ, length: 300 });
    await client.read(316);
    await tcp.ask({ command: FLUSH });
    await tcp.ask({ command: 50 });
    const counters = server.counters();
    assert.equal(counters.nbdRequests, {
      "read:0": 1,
      "write:0": 1,
      "flush:0": 1,
      "unknown:22": 1,
    });
    assert.equal([counters.readBytes, counters.writtenBytes], [300, 1000]);
    const [first, second] = server.clients();
    assert.equal(
      [first?.id, first?.exportName, first?.peer, first?.tls, first?.readBytes],
      ["w1-1", "md0", "unix", false, 300],
    );
    assert.equal([second?.id, second?.peer.startsWith("127.0.0.1:")], ["w1-2", true]);
    tcp.close();
  }),
);

test.run();
