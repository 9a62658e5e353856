/** A board that the cluster refuses says so, and not that voters do not answer. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { boardHealth } from "../../../src/control/health.ts";
import { clusterAttention } from "../../../src/control/life-health.ts";
import { createBoardCertificate, createClusterCa } from "../../../src/life/certificates.ts";
import type { LifeStatus } from "../../../src/life/cluster-life.ts";
import { describeQuorum, shutOutQuorum } from "../../../src/life/quorum-words.ts";
import { ShutOutWatch, type Welcome, welcomeAt } from "../../../src/life/shut-out-client.ts";

const test = suite("life/shut-out");

test("a member that refuses ends the connection after the handshake; one that is off makes none", async () => {
  const ca = await createClusterCa("attic");
  const own = await createBoardCertificate(ca, { name: "a", addresses: ["127.0.0.1"] });
  let answers = false;
  const server = tls.createServer({ ca: ca.cert, ...own, requestCert: true }, (socket) => {
    socket.on("error", () => undefined);
    if (answers) socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\n"));
    else socket.destroy();
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  assert.is(await welcomeAt(endpoint, { ca: ca.cert, own }), "refuses");
  answers = true;
  assert.is(await welcomeAt(endpoint, { ca: ca.cert, own }), "answers");
  await new Promise((resolve) => server.close(resolve));
  assert.is(await welcomeAt(endpoint, { ca: ca.cert, own }), "silent");
});

test("only refusals in a row of all that answer shut a board out, and one answer lets it in", async () => {
  let found: readonly Welcome[] = [];
  const clock = { now: 0 };
  const watch = new ShutOutWatch({
    welcome: async (endpoint) => found[Number(endpoint)] ?? "silent",
    now: () => clock.now,
  });
  const look = async (...welcomes: Welcome[]): Promise<boolean> => {
    found = welcomes;
    clock.now += 10_000;
    await watch.look(["0", "1"]);
    return watch.isShutOut;
  };
  for (let count = 0; count < 5; count += 1) assert.not(await look("silent", "silent"));
  for (let count = 0; count < 5; count += 1) assert.not(await look("refuses", "answers"));
  assert.not(await look("refuses", "silent"));
  assert.not(await look("refuses", "refuses"));
  assert.ok(await look("silent", "refuses"));
  assert.ok(await look("silent", "silent"), "nothing follows of silence");
  assert.not(await look("refuses", "answers"));
});

test("it is told as what it is, with what to do; before the first answer nothing is claimed", () => {
  const quorum = shutOutQuorum("b");
  assert.match(quorum.sentences.join("; "), "the cluster refuses b");
  const sight = { isShutOut: true, quorum, etcd: { members: [], alarms: [] }, warnings: [] };
  const [told, ...more] = clusterAttention({ sight } as unknown as LifeStatus);
  assert.equal([told?.code, told?.severity, more.length], ["cluster-shut-out", "critical", 0]);
  assert.match(told?.fix ?? "", "cluster leave --force");
  const health = boardHealth([], told === undefined ? [] : [told]);
  assert.is(health.state, "inactive");
  assert.match(health.sentence, /^The cluster refuses b/);
  const early = describeQuorum({ boards: [], members: [], graceMs: 1 }).sentences.join();
  assert.not.match(early, "0 of 0");
});

test.run();
