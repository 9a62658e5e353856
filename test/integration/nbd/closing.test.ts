/**
 * Ending things from the server's side: one client, one export, the whole server; and addresses.
 */
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { listenNbd, type NbdServer } from "../../../src/nbd/server-driver.ts";
import { directoryOf, exportEntry, MemoryBackend } from "../../helpers/memory-backend.ts";
import { withNbdServer } from "../../helpers/nbd-fixture.ts";
import { exportRequestBytes, optionBytes, requestBytes } from "../../helpers/nbd-messages.ts";
import { RawNbdClient } from "../../helpers/raw-nbd-client.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("nbd: closing and listening");
const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const NBD_OPT_GO = 7;
const NBD_OPT_LIST = 3;

const other = exportEntry(new MemoryBackend({ sizeBytes: 4096 }), { name: "other" });
const emptyDirectory = directoryOf([]);

/** The CodedError that `action` rejects with. */
async function refusalOf(action: Promise<NbdServer>): Promise<CodedError> {
  try {
    await (await action).close();
  } catch (error) {
    assert.instance(error, CodedError);
    return error as CodedError;
  }
  throw new Error("it was not refused");
}

test(
  "kick cuts one client off and leaves the others",
  withNbdServer({}, async ({ attach, server }) => {
    const [first, second] = [await attach(), await attach()];
    const [listed] = server.clients();
    assert.is(server.kick(listed?.id ?? ""), true);
    await first.untilClosed();
    assert.is((await second.ask({ command: FLUSH })).errno, 0);
    await eventually("it is gone", 5_000, () => server.clients().length === 1);
    assert.is(server.kick("no such client"), false);
  }),
);

test(
  "closeExport answers what is under way, closes its clients only, and then resolves",
  withNbdServer({ backend: { pace: "held" }, more: [other] }, async (fixture) => {
    const { attach, backend, entries, path, server } = fixture;
    const [busy, idle] = [await attach(), await attach()];
    const elsewhere = await RawNbdClient.attach({ path }, "other");
    busy.request({ command: WRITE, payload: new Uint8Array(512).fill(3), cookie: 1 });
    busy.send(requestBytes({ command: WRITE, length: 512 }));
    await eventually("the write arrives", 5_000, () => backend.heldCalls === 1);
    entries.shift();
    const state = { isClosed: false };
    const closed = server.closeExport("md0").then(() => {
      state.isClosed = true;
    });
    await idle.untilClosed();
    idle.close();
    await eventually("the idle one is gone", 5_000, () => server.clients().length === 2);
    assert.is(state.isClosed, false);
    backend.release();
    assert.equal(await busy.simpleReply(), { errno: 0, cookie: 1 });
    assert.is((await busy.untilClosed()).length, 0);
    busy.close();
    await closed;
    assert.equal(backend.calls, ["write 0+512"]);
    assert.is((await elsewhere.ask({ command: FLUSH })).errno, 0);
    const late = await RawNbdClient.connect({ path });
    await late.greet();
    const replies = await late.option(NBD_OPT_GO, exportRequestBytes("md0"));
    assert.equal(
      replies.map(({ type }) => type),
      [0x8000_0006],
    );
    late.close();
    elsewhere.close();
  }),
);

test(
  "closeExport does not wait for ever for a client that does not read",
  withNbdServer({ server: { limits: { closingMs: 200 } } }, async ({ attach, backend, server }) => {
    const client = await attach();
    client.socket.pause();
    for (let count = 0; count < 20; count += 1)
      client.request({ command: READ, length: 1_000_000 });
    await eventually("it reads", 5_000, () => backend.calls.length > 0);
    await server.closeExport("md0");
    assert.is(server.clients().length, 0);
  }),
);

test(
  "who asks for an export that is to come waits until it is open or given up",
  withNbdServer({}, async ({ coming, connect, entries, server }) => {
    const late = { name: "late", description: "", tlsRequired: false };
    coming.push(late, { ...late, name: "never" });
    const [one, two] = [await connect(), await connect()];
    for (const [client, name] of [
      [one, "late"],
      [two, "never"],
    ] as const) {
      await client.greet();
      client.send(optionBytes(NBD_OPT_GO, exportRequestBytes(name)));
    }
    // Options wait for nothing but the export: another client's come and go.
    const third = await connect();
    await third.greet();
    const listed = await third.option(NBD_OPT_LIST);
    assert.is(listed.length, 4, "the open one, the two to come, the end");
    assert.equal([one.available, two.available], [0, 0]);
    entries.push({ ...other, name: "late" });
    coming.splice(0);
    server.exportsChanged();
    assert.is((await one.optionReplies()).at(-1)?.type, 1);
    assert.is((await one.ask({ command: FLUSH })).errno, 0);
    assert.is((await two.optionReplies()).at(-1)?.type, 0x8000_0006);
    assert.is((await two.option(NBD_OPT_GO, exportRequestBytes("md0"))).at(-1)?.type, 1);
  }),
);

test(
  "who waits for an export that is to come outlasts a handshake that says nothing",
  withNbdServer({ server: { limits: { handshakeMs: 300 } } }, async (fixture) => {
    const { coming, connect, entries, server } = fixture;
    coming.push({ name: "late", description: "", tlsRequired: false });
    const waiting = await connect();
    await waiting.greet();
    waiting.send(optionBytes(NBD_OPT_GO, exportRequestBytes("late")));
    const silent = await connect();
    await silent.untilClosed();
    entries.push({ ...other, name: "late" });
    coming.splice(0);
    server.exportsChanged();
    assert.is((await waiting.optionReplies()).at(-1)?.type, 1);
  }),
);

test(
  "who waits for an export that does not come is let go in the end, later than a slow handshake",
  withNbdServer({ server: { limits: { handshakeMs: 1, comingMs: 300 } } }, async (fixture) => {
    const { coming, connect } = fixture;
    coming.push({ name: "late", description: "", tlsRequired: false });
    const client = await connect();
    await client.greet();
    client.send(optionBytes(NBD_OPT_GO, exportRequestBytes("late")));
    assert.is((await client.untilClosed()).length, 0);
  }),
);

test(
  "close ends listening, handshakes and connections",
  withNbdServer({}, async ({ attach, connect, path, server }) => {
    const [client, greeted] = [await attach(), await connect()];
    await greeted.greet();
    const closed = server.close();
    assert.is((await greeted.untilClosed()).length, 0);
    await client.untilClosed();
    client.close();
    await closed;
    assert.is(existsSync(path), false);
  }),
);

test(
  "replaces a socket file that nobody serves",
  inFolder(async (folder) => {
    const path = join(folder, "s");
    const dead = createServer().listen(path);
    await new Promise((resolve) => dead.once("listening", resolve));
    // Renamed away while it closes, so that the file stays as after a crash.
    const kept = join(folder, "kept");
    renameSync(path, kept);
    await new Promise((resolve) => dead.close(resolve));
    renameSync(kept, path);
    const server = await listenNbd({ path }, directoryOf([other]));
    const client = await RawNbdClient.attach({ path }, "other");
    client.close();
    await server.close();
  }),
);

test(
  "refuses addresses in use, naming address and remedy",
  withNbdServer({}, async ({ path, port, folder }) => {
    const file = join(folder, "file");
    writeFileSync(file, "precious");
    for (const [address, name] of [
      [{ path }, path],
      [{ path: file }, file],
      [{ host: "127.0.0.1", port }, `127.0.0.1:${port}`],
    ] as const) {
      const refusal = await refusalOf(listenNbd(address, emptyDirectory));
      assert.is(refusal.code, "NBD_ADDRESS_IN_USE");
      assert.ok(refusal.message.includes(name), refusal.message);
      assert.ok(refusal.remedy.length > 10);
    }
    assert.is(existsSync(file), true);
  }),
);

test(
  "refuses addresses that cannot be",
  inFolder(async (folder) => {
    const addresses = [
      { path: join(folder, "no", "such", "folder", "s") },
      { path: join(folder, "x".repeat(120)) },
      { path: "" },
      { host: "192.0.2.1", port: 0 },
    ];
    for (const address of addresses) {
      const refusal = await refusalOf(listenNbd(address, emptyDirectory));
      assert.is(refusal.code, "NBD_ADDRESS_INVALID");
    }
  }),
);

test("refuses an address that the kernel denies", async () => {
  const refusal = await refusalOf(listenNbd({ path: "/sys/satsuma.sock" }, emptyDirectory));
  assert.is(refusal.code, "NBD_ADDRESS_DENIED");
  assert.match(refusal.message, "/sys/satsuma.sock");
});

test(
  "a server that cannot have all its addresses listens on none",
  withNbdServer({}, async ({ path, folder }) => {
    const free = join(folder, "free");
    await refusalOf(listenNbd([{ path: free }, { path }], emptyDirectory));
    assert.is(existsSync(free), false);
  }),
);

test(
  "two servers share a TCP port with reusePort",
  inFolder(async () => {
    const directory = directoryOf([other]);
    const first = await listenNbd({ host: "127.0.0.1", port: 0, reusePort: true }, directory);
    const port = first.addresses[0]?.port ?? 0;
    const second = await listenNbd({ host: "127.0.0.1", port, reusePort: true }, directory);
    const clients = await Promise.all(
      Array.from({ length: 40 }, () => RawNbdClient.attach({ port }, "other")),
    );
    assert.ok(first.clients().length > 0 && second.clients().length > 0);
    assert.is(first.clients().length + second.clients().length, 40);
    for (const client of clients) client.close();
    await Promise.all([first.close(), second.close()]);
  }),
);

test.run();
