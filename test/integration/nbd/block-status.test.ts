/** Block status over real sockets: contexts, one extent, answers that come late, and failures. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type NbdFixture, withNbdServer } from "../../helpers/nbd-fixture.ts";
import {
  contextRequestBytes,
  errorOf,
  exportRequestBytes,
  statusOf,
} from "../../helpers/nbd-messages.ts";
import type { RawNbdClient } from "../../helpers/raw-nbd-client.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("nbd: block status");

const WRITE = 1;
const DISC = 2;
const FLUSH = 3;
const BLOCK_STATUS = 7;
const REQ_ONE = 8;
const ERROR_OFFSET = 0x8002;
const NBD_OPT_GO = 7;
const NBD_OPT_STRUCTURED_REPLY = 8;
const NBD_OPT_SET_META_CONTEXT = 10;

const filled = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

/** A connection in transmission on `md0` with both contexts set. */
async function attachWithContexts({ connect }: NbdFixture): Promise<RawNbdClient> {
  const client = await connect();
  await client.greet();
  await client.option(NBD_OPT_STRUCTURED_REPLY);
  const queries = ["satsuma:dirty", "base:allocation"];
  await client.option(NBD_OPT_SET_META_CONTEXT, contextRequestBytes("md0", queries));
  await client.option(NBD_OPT_GO, exportRequestBytes("md0"));
  return client;
}

for (const pace of ["at-once", "soon"] as const) {
  test(
    `is answered per context, whole or one extent only, by a back end that answers ${pace}`,
    withNbdServer({ backend: { pace } }, async (fixture) => {
      fixture.backend.setPace("at-once");
      fixture.backend.write([filled(4096, 1)], 8192, false, () => undefined);
      fixture.backend.setPace(pace);
      const client = await attachWithContexts(fixture);
      client.request({ command: BLOCK_STATUS, offset: 4096, length: 16_384, cookie: 8 });
      const [first, second] = [await client.chunk(), await client.chunk()];
      assert.equal(
        [first.isLast, first.type, first.cookie, second.isLast, second.type],
        [false, 5, 8, true, 5],
      );
      const hole = [4096, 3];
      const after = [8192, 3];
      assert.equal(statusOf(first.payload), { context: 1, extents: [hole, [4096, 0], after] });
      const dirty = [
        [4096, 0],
        [4096, 1],
        [8192, 0],
      ];
      assert.equal(statusOf(second.payload), { context: 2, extents: dirty });
      client.request({ command: BLOCK_STATUS, flags: REQ_ONE, offset: 8192, length: 16_384 });
      assert.equal(statusOf((await client.chunk()).payload).extents, [[4096, 0]]);
      assert.equal(statusOf((await client.chunk()).payload).extents, [[4096, 1]]);
    }),
  );
}

test(
  "waits for the last context, while later requests are answered",
  withNbdServer({ backend: { pace: "held" } }, async (fixture) => {
    const { backend } = fixture;
    const client = await attachWithContexts(fixture);
    client.request({ command: BLOCK_STATUS, length: 8192, cookie: 1 });
    await eventually("both contexts are asked for", 5_000, () => backend.heldCalls === 2);
    backend.setPace("at-once");
    client.request({ command: WRITE, payload: filled(4096, 1), cookie: 2 });
    assert.equal(await client.simpleReply(), { errno: 0, cookie: 2 });
    backend.release(1);
    assert.equal(await client.ask({ command: FLUSH, cookie: 3 }), { errno: 0, cookie: 3 });
    assert.is(client.available, 0);
    backend.release();
    const [first, second] = [await client.chunk(), await client.chunk()];
    assert.equal([first.cookie, first.isLast, second.isLast], [1, false, true]);
    assert.equal(statusOf(first.payload).extents, [
      [4096, 0],
      [4096, 3],
    ]);
  }),
);

for (const context of ["base:allocation", "satsuma:dirty"]) {
  test(
    `a failure of ${context} is the answer to the whole request`,
    withNbdServer(
      { backend: { pace: "soon", fault: (call) => (call.endsWith(context) ? 5 : 0) } },
      async (fixture) => {
        const client = await attachWithContexts(fixture);
        client.request({ command: BLOCK_STATUS, offset: 512, length: 8192, cookie: 4 });
        const chunk = await client.chunk();
        assert.equal([chunk.isLast, chunk.type, chunk.cookie], [true, ERROR_OFFSET, 4]);
        assert.equal([errorOf(chunk).errno, errorOf(chunk).offset], [5, 512]);
        assert.equal(await client.ask({ command: FLUSH, cookie: 5 }), { errno: 0, cookie: 5 });
      },
    ),
  );
}

test(
  "a client that leaves gets its answer by DISC, and nobody is harmed when it just vanishes",
  withNbdServer({ backend: { pace: "held" } }, async (fixture) => {
    const { backend, server } = fixture;
    const polite = await attachWithContexts(fixture);
    polite.request({ command: BLOCK_STATUS, length: 512, cookie: 1 });
    polite.request({ command: DISC });
    const rude = await attachWithContexts(fixture);
    rude.request({ command: BLOCK_STATUS, length: 512 });
    await eventually("all are asked for", 5_000, () => backend.heldCalls === 4);
    rude.close();
    backend.release();
    assert.is((await polite.chunk()).cookie, 1);
    assert.is((await polite.chunk()).isLast, true);
    assert.is((await polite.untilClosed()).length, 0);
    polite.close();
    await eventually("both are gone", 5_000, () => server.clients().length === 0);
  }),
);

test.run();
