/**
 * Peers that break the protocol, stall or flood: each gets the protocol's error or a closed socket,
 * a well-behaved client beside them is served, and memory stays within the limits.
 */
import { once } from "node:events";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exportEntry, MemoryBackend } from "../../helpers/memory-backend.ts";
import { type NbdFixture, withNbdServer } from "../../helpers/nbd-fixture.ts";
import { concat, optionBytes, requestBytes, u, utf8 } from "../../helpers/nbd-messages.ts";
import { RawNbdClient } from "../../helpers/raw-nbd-client.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("nbd: hostile peers");

const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const NBD_OPT_LIST = 3;
const MIB = 2 ** 20;

/** A well-behaved client is served now. */
async function assertServing({ path }: Pick<NbdFixture, "path">): Promise<void> {
  const client = await RawNbdClient.attach({ path }, "md0");
  assert.is((await client.ask({ command: FLUSH })).errno, 0);
  client.close();
}

test(
  "closes on a wrong request magic, after answering what came before",
  withNbdServer({}, async (fixture) => {
    const client = await fixture.attach();
    const bad = requestBytes({ command: FLUSH, magic: 0x25609514 });
    client.send(concat(requestBytes({ command: FLUSH, cookie: 4 }), bad));
    await client.untilClosed();
    await eventually("it is gone", 5_000, () => fixture.server.clients().length === 0);
    await assertServing(fixture);
  }),
);

test(
  "closes on a write that announces more than 32 MiB, and on old-style talk",
  withNbdServer({}, async (fixture) => {
    for (const length of [32 * MIB + 1, 0xffff_ffff]) {
      const client = await fixture.attach();
      client.request({ command: WRITE, length });
      await client.untilClosed();
    }
    for (const bytes of [utf8("GET / HTTP/1.1\r\n\r\n"), u(4, 3, 8, 1, 8, 1), u(4, 0xffff_ffff)]) {
      const client = await fixture.connect();
      await client.read(18);
      client.send(bytes);
      assert.is((await client.untilClosed()).length, 0);
    }
    await assertServing(fixture);
  }),
);

test(
  "skips a refused write of 32 MiB without keeping it",
  withNbdServer({ entry: { maximumPayload: 65_536 } }, async ({ attach }) => {
    const client = await attach();
    client.request({ command: WRITE, length: 32 * MIB });
    const before = process.memoryUsage();
    const part = new Uint8Array(MIB);
    for (let sent = 0; sent < 32; sent += 1) {
      if (!client.socket.write(part)) await once(client.socket, "drain");
    }
    assert.is((await client.simpleReply()).errno, 28);
    const after = process.memoryUsage();
    const grown = after.arrayBuffers - before.arrayBuffers;
    assert.ok(grown < 8 * MIB, `grew by ${grown}`);
  }),
);

test(
  "stops reading from a client that never reads, and keeps little for it",
  withNbdServer({ server: { limits: { unsentBytesMax: MIB } } }, async (fixture) => {
    const client = await fixture.attach();
    client.socket.pause();
    const reads = requestBytes({ command: READ, length: 65_536 });
    const burst = concat(...Array.from({ length: 1000 }, () => reads));
    let taken = 0;
    while (client.socket.write(burst)) taken += 1;
    await assertServing(fixture);
    const { backend } = fixture;
    // 1 MiB unsent, what the kernel holds and one batch: far below the 1000 reads asked for.
    const served = backend.calls.filter((call) => call.startsWith("read")).length;
    assert.ok(served < 100, `${served} reads were made`);
    assert.ok(taken < 100);
    client.socket.resume();
    await eventually("the rest is served", 20_000, () => client.available >= 100 * 65_552);
  }),
);

test(
  "clients that leave large replies lose them, in turns, to one that reads",
  withNbdServer(
    {
      backend: { sizeBytes: 4 * MIB },
      server: { limits: { budgetBytes: 8 * MIB, contendedMs: 200 } },
    },
    async (fixture) => {
      for (let count = 0; count < 6; count += 1) {
        const silent = await fixture.attach();
        silent.socket.pause();
        silent.request({ command: READ, length: 4 * MIB });
      }
      await eventually(
        "two of them hold the memory",
        5_000,
        () => fixture.backend.calls.length > 1,
      );
      const client = await fixture.attach();
      client.request({ command: READ, length: MIB, cookie: 9 });
      assert.equal(await client.simpleReply(), { errno: 0, cookie: 9 });
      assert.is((await client.read(MIB)).length, MIB);
    },
  ),
);

test(
  "ends a client that never reads once others wait for memory",
  withNbdServer(
    {
      server: {
        limits: {
          unsentBytesMax: MIB,
          allowanceBytes: 1024,
          budgetBytes: MIB,
          contendedMs: 200,
        },
      },
    },
    async (fixture) => {
      const silent = await fixture.attach();
      silent.socket.pause();
      for (let count = 0; count < 20; count += 1) {
        silent.request({ command: READ, length: 512 * 1024 });
      }
      await eventually("it stalls", 5_000, () => fixture.backend.calls.length > 0);
      const client = await fixture.attach();
      client.request({ command: READ, length: MIB, cookie: 6 });
      assert.equal(await client.simpleReply(), { errno: 0, cookie: 6 });
      assert.is((await client.read(MIB)).length, MIB);
      assert.is(fixture.server.clients().length, 1);
    },
  ),
);

test(
  "ends a client that stalls in the middle of a message, not one that rests between",
  withNbdServer({ server: { limits: { stallMs: 200 } } }, async (fixture) => {
    const resting = await fixture.attach();
    const half = await fixture.attach();
    half.send(requestBytes({ command: FLUSH }).subarray(0, 27));
    const slow = await fixture.attach();
    slow.request({ command: WRITE, length: 512 });
    await half.untilClosed();
    await slow.untilClosed();
    assert.equal(await resting.ask({ command: FLUSH, cookie: 1 }), { errno: 0, cookie: 1 });
  }),
);

test(
  "ends handshakes that take too long, silent ones and trickling ones",
  withNbdServer({ server: { limits: { handshakeMs: 300 } } }, async (fixture) => {
    const silent = await fixture.connect();
    const trickling = await fixture.connect();
    await trickling.greet();
    trickling.send(optionBytes(NBD_OPT_LIST).subarray(0, 9));
    assert.is((await silent.untilClosed()).length, 18);
    await trickling.untilClosed();
    await assertServing(fixture);
  }),
);

test(
  "a flood of handshakes pushes out the oldest and never locks others out",
  withNbdServer(
    { server: { limits: { handshakesMax: 8, handshakeMs: 3_600_000 } } },
    async (fixture) => {
      const flood = await Promise.all(Array.from({ length: 300 }, () => fixture.connect()));
      await assertServing(fixture);
      await Promise.all(flood.slice(0, 280).map((client) => client.untilClosed()));
    },
  ),
);

test(
  "takes no more connections than its limit, and others again when one is gone",
  withNbdServer({ server: { limits: { connectionsMax: 4 } } }, async (fixture) => {
    const [first] = await Promise.all(Array.from({ length: 4 }, () => fixture.attach()));
    const refused = await fixture.connect();
    assert.is((await refused.untilClosed()).length, 0);
    first?.close();
    await eventually("one is gone", 5_000, () => fixture.server.clients().length === 3);
    await assertServing(fixture);
  }),
);

test(
  "survives clients that open and reset at every point of the handshake",
  withNbdServer({}, async (fixture) => {
    const hello = concat(u(4, 3), optionBytes(NBD_OPT_LIST), optionBytes(7, u(4, 0, 2, 0)));
    for (let cut = 0; cut <= hello.length; cut += 1) {
      const client = await RawNbdClient.connect({ port: fixture.port });
      client.send(hello.subarray(0, cut));
      client.socket.resetAndDestroy();
    }
    await assertServing(fixture);
    await eventually("all are gone", 5_000, () => fixture.server.clients().length === 0);
  }),
);

/** 200 exports whose descriptions are as long as may be: LIST answers 800 KiB. */
const manyExports = Array.from({ length: 200 }, (_, index) =>
  exportEntry(new MemoryBackend({ sizeBytes: 512 }), {
    name: `export ${index}`,
    description: "x".repeat(4096),
  }),
);

test(
  "an option flood without reading the answers is made to wait",
  withNbdServer({ more: manyExports }, async (fixture) => {
    const before = process.memoryUsage().arrayBuffers;
    const client = await fixture.connect();
    client.socket.pause();
    client.send(concat(u(4, 3), ...Array.from({ length: 60 }, () => optionBytes(NBD_OPT_LIST))));
    await assertServing(fixture);
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 10 * MIB, `grew by ${grown}`);
    client.socket.resume();
    await client.read(18);
    for (let count = 0; count < 60; count += 1) {
      assert.is((await client.optionReplies()).length, 202);
    }
  }),
);

test(
  "no more requests than the limit reach the back end at a time",
  withNbdServer(
    { backend: { pace: "held" }, server: { limits: { requestsMax: 10 } } },
    async ({ attach, backend }) => {
      const client = await attach();
      const burst = Array.from({ length: 35 }, (_, cookie) =>
        requestBytes({ command: FLUSH, cookie }),
      );
      client.send(concat(...burst));
      for (const expected of [10, 10, 10, 5]) {
        await eventually("a batch arrives", 5_000, () => backend.heldCalls === expected);
        backend.release();
      }
      for (let cookie = 0; cookie < 35; cookie += 1) {
        assert.equal(await client.simpleReply(), { errno: 0, cookie });
      }
    },
  ),
);

test(
  "writes wait for memory in turn and all succeed",
  withNbdServer(
    {
      backend: { pace: "soon" },
      server: { limits: { allowanceBytes: 4096, budgetBytes: 300_000 } },
    },
    async ({ attach, backend }) => {
      const clients = await Promise.all(Array.from({ length: 6 }, () => attach()));
      const answers = clients.map(async (client, index) => {
        for (let turn = 0; turn < 20; turn += 1) {
          const payload = new Uint8Array(150_000).fill(index + 1);
          assert.is(
            (await client.ask({ command: WRITE, offset: index * 150_000, payload })).errno,
            0,
          );
        }
      });
      await Promise.all(answers);
      for (let index = 0; index < 6; index += 1) {
        const range = backend.content.subarray(index * 150_000, (index + 1) * 150_000);
        assert.ok(range.every((byte) => byte === index + 1));
      }
    },
  ),
);

test(
  "one who is cut off while it waits for memory does not hold up those behind it",
  withNbdServer(
    { backend: { pace: "held" }, server: { limits: { allowanceBytes: 1024, budgetBytes: MIB } } },
    async (fixture) => {
      const { attach, backend, server } = fixture;
      const [holder, gone, next] = [await attach(), await attach(), await attach()];
      const goneId = server.clients()[1]?.id ?? "";
      holder.request({ command: READ, length: MIB });
      await eventually("the memory is taken", 5_000, () => backend.heldCalls === 1);
      backend.setPace("at-once");
      gone.send(
        concat(requestBytes({ command: FLUSH }), requestBytes({ command: READ, length: MIB })),
      );
      await gone.simpleReply();
      next.send(
        concat(requestBytes({ command: FLUSH }), requestBytes({ command: READ, length: 65_536 })),
      );
      await next.simpleReply();
      assert.is(server.kick(goneId), true);
      await gone.untilClosed();
      backend.release();
      await holder.read(MIB + 16);
      assert.is((await next.simpleReply()).errno, 0);
      assert.is((await next.read(65_536)).length, 65_536);
    },
  ),
);

test(
  "an export with memory of its own goes on while another's back end holds all of the server's",
  withNbdServer(
    { backend: { pace: "held" }, server: { limits: { allowanceBytes: 1024, budgetBytes: MIB } } },
    async ({ attach, backend, entries }) => {
      const holder = await attach();
      holder.request({ command: READ, length: MIB });
      await eventually("the memory is taken", 5_000, () => backend.heldCalls === 1);
      backend.setPace("at-once");
      const [entry] = entries;
      if (entry !== undefined) entries[0] = { ...entry, memory: "disk2" };
      const other = await attach();
      other.send(requestBytes({ command: READ, length: MIB }));
      assert.is((await other.simpleReply()).errno, 0);
      assert.is((await other.read(MIB)).length, MIB);
      backend.release();
      await holder.read(MIB + 16);
    },
  ),
);

test.run();
