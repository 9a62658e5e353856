// wall-limit: 600 s
/**
 * What an operator does with real boards while clients write: ask what would happen, drain one and
 * take it back, restart all of them, lose one. Clients go on at another board's export.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ImpactResource } from "../../../src/api/schemas/node.ts";
import { tryCommand } from "../../helpers/command.ts";
import {
  assertHeld,
  BLOCK,
  dataOf,
  nodeOf,
  OperatedWriter,
} from "../../helpers/operated-boards.ts";
import { runSatsuma, trySatsuma } from "../../helpers/satsuma-command.ts";
import { type SharedBoards, startSharedBoards } from "../../helpers/shared-boards.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const TEST_MS = 240_000;
const WAIT_MS = 60_000;

const test = suite<{ boards: SharedBoards }>("cluster/operations");
const etcdTest = skipUnless(["etcd"], test);
const qemuTest = skipUnless(["etcd", "qemu-io"], test);

test.before(
  withTimeout(TEST_MS, async (context) => {
    context.boards = await startSharedBoards({ boards: 2, size: "64M" });
    await context.boards.untilWhole();
  }),
);

test.after(
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.stop();
  }),
);

etcdTest(
  "impact is told before anything is done; a single etcd is no board's",
  withTimeout(TEST_MS, async ({ boards }) => {
    const told = await boards.ask<ImpactResource>(0, "GET", "/nodes/board2/impact");
    assert.equal([told.verdict, told.safe], ["safe", true], told.sentence);
    assert.equal(told.arrays[0]?.nodes_after, ["board1"]);
    const quorum = (await nodeOf(boards, 0)).status?.quorum;
    assert.equal([quorum?.problem, quorum?.voters.length], [null, 1]);
    assert.ok(quorum?.voters.every(({ healthy }) => healthy));
    const flags = ["--data", dataOf(boards, 0)];
    const pull = await runSatsuma("safe-to-pull", "disk1", ...flags);
    assert.match(pull.stdout, "md0 has less redundancy");
    const stop = await runSatsuma("node", "impact", "board1", ...flags);
    assert.match(stop.stdout, "Safe: nothing is lost when board1 stops");
  }),
);

etcdTest(
  "a board is drained under a client, which goes on at the other one; it stays drained and returns",
  withTimeout(TEST_MS, async ({ boards }) => {
    const writer = new OperatedWriter(boards, 0);
    await writer.more(20);
    const flags = ["--data", dataOf(boards, 0)];
    const drained = await runSatsuma("node", "drain", "board1", ...flags);
    assert.match(drained.stdout, "board1 (this board): drained since");
    assert.match(drained.stdout, "clients go on at 127.0.0.1:");
    await writer.more(20);
    assert.is(writer.board, "board2");
    const killed = await boards.kill(0);
    await eventually("board1 is back", WAIT_MS, async () => {
      if (boards.board(0).pid === killed) return false;
      return (await nodeOf(boards, 0)).status?.state === "drained";
    });
    const refused = await trySatsuma("node", "drain", "board2", "--data", dataOf(boards, 1));
    assert.match(refused.stderr, "CONTROL_DRAIN_REFUSED");
    assert.match(refused.stderr, "run by no other board");
    await runSatsuma("node", "undrain", "board1", ...flags);
    await boards.untilRunning(0);
    await assertHeld(boards, 0, await writer.stop());
    await boards.untilWhole();
  }),
);

etcdTest(
  "all boards are restarted one by one under a client, and none is missed",
  withTimeout(TEST_MS, async ({ boards }) => {
    const writer = new OperatedWriter(boards, 0);
    await writer.more(20);
    const before = boards.numbers.map((at) => boards.board(at).pid);
    const folders = boards.numbers.map((at) => dataOf(boards, at));
    const rolled = await runSatsuma("node", "restart", "--rolling", ...folders);
    const lines = rolled.stdout.split("\n").filter((line) => !line.startsWith("waiting"));
    assert.equal(lines.slice(0, 4), [
      "board1: restarting",
      "board1: back, redundancy and quorum are whole",
      "board2: restarting",
      "board2: back, redundancy and quorum are whole",
    ]);
    assert.ok(boards.numbers.every((at) => boards.board(at).pid !== before[at]));
    await writer.more(20);
    const held = await writer.stop();
    for (const at of boards.numbers) await assertHeld(boards, at, held);
  }),
);

/** An address that leads to one board at a time, as one that floats between boards does. */
class Portal {
  readonly #server: Server;
  target: () => string;

  constructor(target: () => string) {
    this.target = target;
    this.#server = createServer((client) => {
      const board = connect({ path: this.target() });
      for (const [from, to] of [
        [client, board],
        [board, client],
      ] as const) {
        from.pipe(to);
        from.on("error", () => to.destroy());
        from.on("close", () => to.destroy());
      }
    });
  }

  async open(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  close(): void {
    this.#server.close();
  }
}

/** qemu-io with commands that are given one at a time. */
class QemuIo {
  readonly #child: ChildProcess;
  #output = "";

  constructor(port: number) {
    const image = [
      "driver=raw,file.driver=nbd,file.server.type=inet,file.server.host=127.0.0.1",
      `file.server.port=${port},file.export=md0,file.reconnect-delay=60,cache.direct=on`,
    ].join(",");
    this.#child = spawn("qemu-io", ["--image-opts", image], { stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (chunk: Buffer) => {
        this.#output += chunk.toString("utf8");
      });
  }

  /** Runs a command and waits for what it prints. */
  async run(command: string, expected: RegExp): Promise<void> {
    const from = this.#output.length;
    this.#child.stdin?.write(`${command}\n`);
    await eventually(`qemu-io: ${command}`, WAIT_MS, () => {
      const said = this.#output.slice(from);
      if (/failed|error/i.test(said)) throw new Error(said);
      return expected.test(said);
    });
  }

  async quit(): Promise<void> {
    const exit = once(this.#child, "exit");
    this.#child.stdin?.end("quit\n");
    await exit;
  }
}

qemuTest(
  "qemu with a reconnect-delay goes on behind an address that moves to the board which is left",
  withTimeout(TEST_MS, async ({ boards }) => {
    const portal = new Portal(() => boards.board(0).nbd_socket);
    const qemu = new QemuIo(await portal.open());
    await qemu.run("write -P 65 1M 64k", /wrote 65536\/65536/);
    portal.target = () => boards.board(1).nbd_socket;
    await runSatsuma("node", "drain", "board1", "--data", dataOf(boards, 0));
    const refused = await tryCommand("qemu-io", ["-f", "raw", "-c", "quit", boards.uri(0)]);
    const address = (await nodeOf(boards, 0)).status?.elsewhere[0]?.addresses[0];
    assert.match(
      refused.stderr,
      `attach it at ${address}`,
      "whoever asks there is told where else",
    );
    await qemu.run("write -P 66 2M 64k", /wrote 65536\/65536/);
    await qemu.run("read -P 65 1M 64k", /read 65536\/65536/);
    await qemu.run("flush", /qemu-io> $/);
    await qemu.quit();
    portal.close();
    await runSatsuma("node", "undrain", "board1", "--data", dataOf(boards, 0));
    await boards.untilRunning(0);
    const client = await boards.attach(0);
    assert.is((await client.read(2 * 1024 * 1024, BLOCK))[0], 66);
    client.close();
  }),
);

etcdTest(
  "a board that dies is left by its client, which loses nothing and goes on within its time-out",
  withTimeout(TEST_MS, async ({ boards }) => {
    const writer = new OperatedWriter(boards, 0);
    await writer.more(20);
    const killed = await boards.kill(0);
    await writer.more(20);
    const held = await writer.stop();
    await assertHeld(boards, 1, held);
    await boards.untilReturned(0, killed);
    await assertHeld(boards, 0, held);
  }),
);

test.run();
