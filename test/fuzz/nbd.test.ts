/**
 * Random and damaged NBD talk. The handshake machine never throws and answers within bounds. The
 * server, over real sockets, answers only with well-formed replies to requests that were sent,
 * keeps serving others, and gives all memory back.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Prng } from "../../src/common/prng.ts";
import {
  HANDSHAKE_START,
  type HandshakeState,
  stepHandshake,
  wantedBytes,
} from "../../src/nbd/handshake.ts";
import type { HandshakeSurroundings } from "../../src/nbd/negotiation.ts";
import { decodeContextRequest, decodeExportRequest } from "../../src/nbd/option-codec.ts";
import { directoryOf, exportEntry, MemoryBackend } from "../helpers/memory-backend.ts";
import { type NbdFixture, withNbdServer } from "../helpers/nbd-fixture.ts";
import {
  concat,
  contextRequestBytes,
  exportRequestBytes,
  optionBytes,
  requestBytes,
  u,
} from "../helpers/nbd-messages.ts";
import { RawNbdClient } from "../helpers/raw-nbd-client.ts";
import { withSeeds } from "../helpers/seed.ts";
import { eventually } from "../helpers/timeout.ts";

const test = suite("fuzz: nbd");

const MIB = 2 ** 20;
const FLUSH = 3;
const OPTIONS = [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 77];
const ERRORS = new Set([0, 1, 5, 12, 22, 28, 75, 95, 108]);

/** A well-formed option, mostly; sometimes with a payload that does not fit it. */
function randomOption(prng: Prng): Uint8Array {
  const name = prng.pick(["", "md0", "nope", "x".repeat(300)]);
  const payload = prng.pick([
    () => u(),
    () => exportRequestBytes(name, [prng.below(5), prng.below(70_000)]),
    () => contextRequestBytes(name, prng.pick([[], ["base:"], ["satsuma:dirty", "base:x"], ["q"]])),
    () => prng.bytes(prng.below(64)),
    () => new Uint8Array(prng.pick([1, 4096, 65_536, 65_537])),
  ])();
  return optionBytes(prng.pick(OPTIONS), payload);
}

/** Flips, cuts or inserts bytes in one of two cases. */
function damage(prng: Prng, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0 || prng.chance(1, 2)) return bytes;
  const at = prng.below(bytes.length);
  switch (prng.below(3)) {
    case 0: {
      const changed = bytes.slice();
      changed[at] = prng.below(256);
      return changed;
    }
    case 1:
      return bytes.subarray(0, at);
    default:
      return concat(bytes.subarray(0, at), prng.bytes(1 + prng.below(4)), bytes.subarray(at));
  }
}

/** Feeds the machine as the driver does, in one go; returns the bytes it sent. */
function runHandshake(talk: Uint8Array, surroundings: HandshakeSurroundings): number {
  let state: HandshakeState = HANDSHAKE_START;
  let sent = 0;
  for (let at = 0; ; ) {
    const wanted = wantedBytes(state);
    if (wanted === null || talk.length - at < wanted) return sent;
    const bytes = talk.subarray(at, at + (state.type === "option-skip" ? 0 : wanted));
    at += wanted;
    const step = stepHandshake(state, { type: "bytes", bytes }, surroundings);
    state = step.state;
    for (const effect of step.effects) if (effect.type === "send") sent += effect.bytes.length;
  }
}

test("the handshake machine takes any talk, and its answers stay in proportion", async () => {
  const entry = exportEntry(new MemoryBackend({ sizeBytes: 4096 }));
  const secret = exportEntry(entry.backend, { name: "secret", tlsRequired: true });
  await withSeeds({ fixed: [1, 2, 3], more: 5 }, (prng) => {
    for (let talk = 0; talk < 400; talk += 1) {
      const options = Array.from({ length: prng.below(80) }, () => randomOption(prng));
      const parts = [u(4, prng.below(5)), ...options].map((part) => damage(prng, part));
      const sent = runHandshake(concat(...parts), {
        tls: prng.pick(["off", "available", "active"]),
        directory: directoryOf([entry, secret]),
        shuttingDown: prng.chance(1, 10),
      });
      assert.ok(sent < 65 * 1024, `${sent} bytes sent`);
    }
  });
});

test("the decoders of options take any bytes", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 5 }, (prng) => {
    for (let turn = 0; turn < 3000; turn += 1) {
      const good = prng.chance(1, 2)
        ? exportRequestBytes("md0", [0, 3])
        : contextRequestBytes("md0", ["base:allocation"]);
      const bytes = prng.chance(1, 3) ? prng.bytes(prng.below(64)) : damage(prng, good);
      for (const decoded of [decodeExportRequest(bytes), decodeContextRequest(bytes)]) {
        if (!decoded.ok) assert.match(decoded.reason, /^option-(malformed|too-big)$/);
      }
    }
  });
});

/** A request that may be anything from sound to absurd. */
function randomRequest(prng: Prng, cookie: number): Uint8Array {
  const command = prng.chance(9, 10) ? prng.pick([0, 1, 3, 4, 5, 6, 7]) : prng.below(65_536);
  const flags = prng.chance(3, 4) ? 0 : prng.below(64);
  const offset = prng.pick([prng.below(MIB), MIB - prng.below(4096), prng.below(2 ** 53 - 1), 0]);
  const length = prng.pick([prng.below(4096), prng.below(200_000), prng.below(2 ** 32), 0]);
  if (command !== 1) return requestBytes({ command, flags, cookie, offset, length });
  return requestBytes({ command, flags, cookie, offset, payload: prng.bytes(length % 20_000) });
}

/** Reads replies, all structured or simple as the stream says, until the connection ends. */
async function readReplies(client: RawNbdClient, cookies: ReadonlySet<number>): Promise<number> {
  const stream = await client.untilClosed();
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength);
  let count = 0;
  let at = 0;
  // What the connection cut off last is not looked at.
  while (at + 20 <= stream.length) {
    const magic = view.getUint32(at);
    const isChunk = magic === 0x668e33ef;
    assert.ok(isChunk || magic === 0x67446698, `reply ${count} has the magic ${magic}`);
    if (isChunk) assert.ok([1, 5, 0x8001, 0x8002].includes(view.getUint16(at + 6)));
    else assert.ok(ERRORS.has(view.getUint32(at + 4)));
    assert.ok(cookies.has(view.getUint32(at + 12)), "a reply to a request that was not sent");
    at += isChunk ? 20 + view.getUint32(at + 16) : 16;
    count += 1;
  }
  return count;
}

async function fuzzTransmission(prng: Prng, fixture: NbdFixture): Promise<void> {
  const client = await fixture.connect();
  await client.greet();
  await client.option(8);
  await client.option(10, contextRequestBytes("md0", ["base:allocation", "satsuma:dirty"]));
  await client.option(7, exportRequestBytes("md0"));
  const cookies = new Set<number>();
  for (let count = prng.below(60); count > 0; count -= 1) {
    cookies.add(count);
    client.send(randomRequest(prng, count));
  }
  // At last a request that is damaged, or garbage, or the end.
  const last = requestBytes({ command: 1, cookie: 61, payload: prng.bytes(512) });
  cookies.add(61);
  client.send(prng.chance(1, 2) ? last.subarray(0, prng.below(last.length)) : prng.bytes(64));
  if (prng.chance(1, 4)) client.close();
  else client.socket.end();
  await readReplies(client, cookies);
  client.close();
}

test(
  "the server answers any stream of requests with well-formed replies, or closes",
  withNbdServer({ server: { limits: { stallMs: 500 } } }, async (fixture) => {
    await withSeeds({ fixed: [1, 2, 3], more: 6 }, async (prng) => {
      fixture.backend.setPace(prng.pick(["at-once", "soon"]));
      for (let peer = 0; peer < 12; peer += 1) await fuzzTransmission(prng, fixture);
      const client = await fixture.attach();
      assert.is((await client.ask({ command: FLUSH })).errno, 0);
      client.close();
    });
    await eventually("all are gone", 10_000, () => fixture.server.clients().length === 0);
  }),
);

test(
  "the server survives garbage at any byte of the handshake, many peers at a time",
  withNbdServer({ server: { limits: { handshakeMs: 1_000 } } }, async (fixture) => {
    await withSeeds({ fixed: [1], more: 2 }, async (prng) => {
      const peers = Array.from({ length: 40 }, async () => {
        const client = await RawNbdClient.connect({ path: fixture.path });
        const talk = [u(4, 3), ...Array.from({ length: prng.below(8) }, () => randomOption(prng))];
        for (const part of talk) client.send(damage(prng, part));
        const end = prng.pick([() => client.socket.end(), () => client.close(), () => undefined]);
        end();
        await client.untilClosed();
        client.close();
      });
      await Promise.all(peers);
      const client = await fixture.attach();
      assert.is((await client.ask({ command: FLUSH })).errno, 0);
      client.close();
    });
  }),
);

test(
  "memory stays bounded over many hostile connections",
  withNbdServer({}, async (fixture) => {
    const measure = (): number => process.memoryUsage().arrayBuffers;
    const before = measure();
    for (let turn = 0; turn < 30; turn += 1) {
      const clients = await Promise.all(Array.from({ length: 10 }, () => fixture.attach()));
      for (const client of clients) {
        client.socket.pause();
        // Reads that nobody takes, then a write of 32 MiB that never comes.
        for (let count = 0; count < 8; count += 1) {
          client.send(requestBytes({ command: 0, length: MIB }));
        }
        client.send(requestBytes({ command: 1, length: MIB }));
      }
      await eventually("they are served", 5_000, () => fixture.server.clients().length === 10);
      for (const client of clients) client.close();
      await eventually("they are gone", 5_000, () => fixture.server.clients().length === 0);
    }
    const grown = measure() - before;
    assert.ok(grown < 128 * MIB, `grew by ${Math.round(grown / MIB)} MiB`);
  }),
);

test.run();
