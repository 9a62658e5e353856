/**
 * Replies as a client takes them: whole, in any cut, and hostile ones. The server's side is written
 * by test/helpers/nbd-messages.ts, not by the codecs under test.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AllocationRun } from "../../../src/hal/block-device.ts";
import { ReplyParser } from "../../../src/nbd/client-reply-parser.ts";
import { ClientRequest } from "../../../src/nbd/client-request.ts";
import { ReceiveQueue } from "../../../src/nbd/receive-queue.ts";
import { concat, u, utf8 } from "../../helpers/nbd-messages.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("nbd/client-reply-parser");

const [READ, WRITE, FLUSH, STATUS] = [0, 1, 3, 7];
const [NONE, DATA, HOLE, EXTENTS, ERROR, ERROR_OFFSET] = [0, 1, 2, 5, 0x8001, 0x8002];
const AT = 2 ** 40;
const CONTEXT = 4;

interface Asked {
  readonly command: number;
  readonly length?: number;
}

/** Requests with the cookies 1, 2, …, and what they were answered. */
class Listener {
  readonly received = new ReceiveQueue();
  readonly answered: number[] = [];
  readonly requests: readonly ClientRequest[];
  readonly #open = new Map<number, ClientRequest>();
  readonly #parser: ReplyParser;

  constructor(asked: readonly Asked[], structuredReplies = true) {
    this.requests = asked.map(({ command, length = 0 }, index) => {
      const request = new ClientRequest({ onAnswered: () => undefined });
      Object.assign(request, { command, offset: AT, lengthBytes: length, cookieLow: index + 1 });
      if (command === READ) request.target = new Uint8Array(length).fill(0xee);
      if (command === STATUS) request.runs = [];
      this.#open.set(index + 1, request);
      return request;
    });
    const form = { structuredReplies, allocationContext: CONTEXT };
    this.#parser = new ReplyParser(
      {
        find: (high, low) => (high === 0 ? (this.#open.get(low) ?? null) : null),
        answered: (request) => {
          this.#open.delete(request.cookieLow);
          this.answered.push(request.cookieLow);
        },
      },
      form,
    );
  }

  hear(bytes: Uint8Array): string | null {
    this.received.push(bytes, null);
    return this.#parser.parse(this.received);
  }

  target(index: number): Uint8Array {
    return this.requests[index]?.target ?? new Uint8Array(0);
  }
}

const simple = (cookie: number, errno = 0, data = u()): Uint8Array =>
  concat(u(4, 0x67446698, 4, errno, 8, cookie), data);

const chunk = (cookie: number, type: number, payload = u(), flags = 1): Uint8Array =>
  concat(u(4, 0x668e33ef, 2, flags, 2, type, 8, cookie, 4, payload.length), payload);

const data = (from: number, bytes: Uint8Array): Uint8Array => concat(u(8, AT + from), bytes);
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => at + 1);

/** A conversation with everything in it, and what must come of it. */
const everything = (): readonly [Listener, Uint8Array, () => void] => {
  const listener = new Listener([
    { command: READ, length: 10 },
    { command: WRITE, length: 10 },
    { command: FLUSH },
    { command: STATUS, length: 1000 },
    { command: READ, length: 4 },
    { command: WRITE, length: 10 },
    { command: READ, length: 6 },
  ]);
  const extents = u(4, CONTEXT, 4, 100, 4, 3, 4, 50, 4, 3, 4, 150, 4, 0, 4, 5000, 4, 1);
  const wire = concat(
    chunk(1, DATA, data(0, bytesOf(3)), 0),
    simple(2),
    chunk(1, HOLE, u(8, AT + 3, 4, 4), 0),
    chunk(3, NONE),
    chunk(4, EXTENTS, extents, 0),
    chunk(5, ERROR_OFFSET, concat(u(4, 5, 2, 3), utf8("bad"), u(8, AT)), 0),
    chunk(1, DATA, data(7, bytesOf(3))),
    chunk(6, ERROR, concat(u(4, 28, 2, 0))),
    chunk(5, NONE),
    chunk(4, NONE),
    chunk(7, DATA, data(0, bytesOf(6))),
  );
  const check = (): void => {
    assert.equal(listener.answered, [2, 3, 1, 6, 5, 4, 7]);
    assert.equal([...listener.target(0)], [1, 2, 3, 0, 0, 0, 0, 1, 2, 3]);
    assert.equal([...listener.target(6)], [1, 2, 3, 4, 5, 6]);
    const [, , , status, failed, full] = listener.requests;
    assert.equal(status?.runs, [
      { length: 150, isHole: true },
      { length: 850, isHole: false },
    ]);
    assert.equal([failed?.errno, failed?.said], [5, "bad"]);
    assert.equal([full?.errno, full?.said], [28, ""]);
    assert.is(listener.received.available, 0);
  };
  return [listener, wire, check];
};

test("takes answers in any order, of chunks that lie between others'", () => {
  const [listener, wire, check] = everything();
  assert.is(listener.hear(wire), null);
  check();
});

test("takes them however they are cut", async () => {
  await withSeeds({ fixed: [1], more: 3 }, async (prng) => {
    const [listener, wire, check] = everything();
    for (let at = 0; at < wire.length; ) {
      const end = Math.min(wire.length, at + 1 + prng.below(prng.pick([1, 8, 60])));
      assert.is(listener.hear(wire.slice(at, end)), null);
      at = end;
    }
    check();
  });
});

test("takes simple replies where no others were agreed", () => {
  const listener = new Listener(
    [
      { command: READ, length: 5 },
      { command: READ, length: 5 },
    ],
    false,
  );
  assert.is(listener.hear(concat(simple(2, 5), simple(1, 0, bytesOf(5)))), null);
  assert.equal(listener.answered, [2, 1]);
  assert.equal([...listener.target(0)], [1, 2, 3, 4, 5]);
  assert.is(listener.requests[1]?.errno, 5);
  assert.is(listener.hear(chunk(1, NONE)), "a structured reply was not agreed");
});

test("keeps a bounded answer of a shredded disk, without a gap in it", () => {
  const listener = new Listener([{ command: STATUS, length: 2 ** 20 }]);
  const extents = Array.from({ length: 1000 }, (_, at) => u(4, 100, 4, at % 2 === 0 ? 3 : 0));
  assert.is(listener.hear(chunk(1, EXTENTS, concat(u(4, CONTEXT), ...extents))), null);
  const runs: readonly AllocationRun[] = listener.requests[0]?.runs ?? [];
  assert.is(runs.length, 64);
  assert.ok(runs.every(({ length, isHole }, at) => length === 100 && isHole === (at % 2 === 0)));
});

/** A read of 10 bytes, a write, a status of 10 bytes. */
const asked = [
  { command: READ, length: 10 },
  { command: WRITE, length: 10 },
  { command: STATUS, length: 10 },
];
const all = data(0, bytesOf(10));
const told = u(4, CONTEXT, 4, 10, 4, 0);

for (const [what, wire] of [
  ["bad magic", u(4, 0x668e33f0, 2, 1, 2, 0, 8, 1, 4, 0)],
  ["a cookie of no request", simple(9)],
  ["a cookie with another high half", simple(2 ** 32 + 2)],
  ["an answer given twice", concat(simple(2), simple(2))],
  ["a simple reply to a read", simple(1, 0, bytesOf(10))],
  ["data before the request", chunk(1, DATA, concat(u(8, AT - 1), bytesOf(5)))],
  ["data beyond the request", chunk(1, DATA, data(0, bytesOf(11)))],
  ["data that leaves a gap", chunk(1, DATA, data(5, bytesOf(5)))],
  ["data sent again", concat(chunk(1, DATA, data(0, bytesOf(5)), 0), chunk(1, DATA, all))],
  ["no data in a chunk of it", chunk(1, DATA, u(8, AT))],
  ["less data than was asked for", chunk(1, DATA, data(0, bytesOf(5)))],
  ["a read that ends without data", chunk(1, NONE)],
  ["data of 4 GiB", u(4, 0x668e33ef, 2, 1, 2, 1, 8, 1, 4, 0xffff_ffff, 8, AT)],
  ["a hole beyond the request", chunk(1, HOLE, u(8, AT, 4, 11))],
  ["a hole of another length", chunk(1, HOLE, u(8, AT, 4, 1, 4, 1))],
  ["data as the answer to a write", chunk(2, DATA, all)],
  ["extents as the answer to a write", chunk(2, EXTENTS, told)],
  ["extents of another context", chunk(3, EXTENTS, u(4, 1, 4, 10, 4, 0))],
  ["extents cut short", chunk(3, EXTENTS, u(4, CONTEXT, 4, 10))],
  ["extents of no length", chunk(3, EXTENTS, u(4, CONTEXT, 4, 0, 4, 0))],
  ["extents behind the request", chunk(3, EXTENTS, u(4, CONTEXT, 4, 10, 4, 0, 4, 10, 4, 3))],
  ["extents twice", concat(chunk(3, EXTENTS, told, 0), chunk(3, EXTENTS, told))],
  ["more extents than anybody sends", u(4, 0x668e33ef, 2, 1, 2, 5, 8, 3, 4, 2 ** 30 + 4)],
  ["a status that tells nothing", chunk(3, NONE)],
  ["an error too short", chunk(2, ERROR, u(4, 5))],
  ["an error longer than its chunk", chunk(2, ERROR, u(4, 5, 2, 4000))],
  ["an error too long", u(4, 0x668e33ef, 2, 1, 2, 0x8001, 8, 2, 4, 2 ** 20)],
  ["an unknown chunk", chunk(2, 77)],
  ["a chunk without content that has some", chunk(2, NONE, u(1, 1))],
] as const) {
  test(`is not taken: ${what}`, () => {
    const listener = new Listener(asked);
    const fault = listener.hear(wire);
    assert.type(fault, "string", "it was taken");
    const answered = [...listener.answered];
    assert.is(listener.hear(simple(2)), fault, "nothing is taken after it");
    assert.equal(listener.answered, answered);
  });
}

test("never writes beside the target, whatever comes", async () => {
  await withSeeds({ fixed: [1, 2], more: 3 }, async (prng) => {
    for (let round = 0; round < 300; round++) {
      const [listener, wire] = everything();
      const memory = new Uint8Array(64).fill(0xaa);
      const [first] = listener.requests;
      if (first !== undefined) first.target = memory.subarray(20, 30);
      const spoilt = wire.slice();
      for (let count = prng.below(4) + 1; count > 0; count--)
        spoilt[prng.below(spoilt.length)] = prng.below(256);
      listener.hear(spoilt);
      const beside = [...memory.subarray(0, 20), ...memory.subarray(30)];
      assert.ok(beside.every((byte) => byte === 0xaa));
    }
  });
});

test.run();
