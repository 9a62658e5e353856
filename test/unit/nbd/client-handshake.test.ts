/**
 * The client's handshake: against our server's own machine, and against servers that refuse or
 * cheat, whose side is written by test/helpers/nbd-messages.ts.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CodedError } from "../../../src/common/errors.ts";
import {
  type Agreed,
  CLIENT_HANDSHAKE_START,
  type ClientHandshakeEvent,
  type ClientHandshakeState,
  stepClientHandshake,
  wantedFromServer,
} from "../../../src/nbd/client-handshake.ts";
import { HANDSHAKE_START, stepHandshake, wantedBytes } from "../../../src/nbd/handshake.ts";
import { encodeGreeting } from "../../../src/nbd/option-codec.ts";
import { directoryOf, exportEntry, MemoryBackend } from "../../helpers/memory-backend.ts";
import { concat, u, utf8 } from "../../helpers/nbd-messages.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("nbd/client-handshake");

const STARTTLS = 5;
const GO = 7;
const STRUCTURED_REPLY = 8;
const SET_META_CONTEXT = 10;
const [ACK, INFO, META_CONTEXT] = [1, 3, 4];
const SIZE = 5 * 2 ** 40;

/** A client before its server has greeted; `hear` what the server sends, piece by piece. */
class Client {
  state: ClientHandshakeState = CLIENT_HANDSHAKE_START;
  sent: Uint8Array = new Uint8Array(0);
  agreed: Agreed | null = null;
  error: CodedError | null = null;
  isStartingTls = false;
  readonly #tls: boolean;
  #heard: Uint8Array = new Uint8Array(0);

  constructor(tls = false) {
    this.#tls = tls;
  }

  hear(...parts: readonly Uint8Array[]): this {
    this.#heard = concat(this.#heard, ...parts);
    for (;;) {
      const wanted = wantedFromServer(this.state);
      if (wanted === null || this.#heard.length < wanted) return this;
      const bytes = this.#heard.subarray(0, wanted);
      this.#heard = this.#heard.slice(wanted);
      this.step({ type: "bytes", bytes });
    }
  }

  step(event: ClientHandshakeEvent): void {
    const wishes = { server: "s", exportName: "md0", tls: this.#tls };
    const { state, effects } = stepClientHandshake(this.state, event, wishes);
    this.state = state;
    for (const effect of effects) {
      if (effect.type === "send") this.sent = concat(this.sent, effect.bytes);
      else if (effect.type === "attach") this.agreed = effect.agreed;
      else if (effect.type === "fail") this.error = effect.error;
      else this.isStartingTls = true;
    }
  }

  /** Options sent since the last call, by their numbers. */
  options(): number[] {
    const text = Buffer.from(this.sent);
    const found: number[] = [];
    for (let at = text.indexOf("IHAVEOPT"); at >= 0; at = text.indexOf("IHAVEOPT", at + 1))
      found.push(text.readUInt32BE(at + 8));
    this.sent = new Uint8Array(0);
    return found;
  }
}

const greeting = (flags = 3): Uint8Array => concat(utf8("NBDMAGICIHAVEOPT"), u(2, flags));

const reply = (option: number, type: number, payload = u()): Uint8Array =>
  concat(u(8, 0x3e889045565a9, 4, option, 4, type, 4, payload.length), payload);

const exported = (flags = 1): Uint8Array => reply(GO, INFO, u(2, 0, 8, SIZE, 2, flags));
const sizes = (...three: readonly [number, number, number]): Uint8Array =>
  reply(GO, INFO, u(2, 3, 4, three[0], 4, three[1], 4, three[2]));

test("agrees with our own server on everything, over TLS", () => {
  const client = new Client(true);
  const backend = new MemoryBackend({ sizeBytes: 4096 });
  const directory = directoryOf([
    exportEntry(backend, { tlsRequired: true, maximumPayload: 8192 }),
  ]);
  let state = HANDSHAKE_START;
  let tls: "available" | "active" = "available";
  client.hear(encodeGreeting());
  for (let at = 0; client.agreed === null; ) {
    const wanted = wantedBytes(state);
    if (wanted === null) {
      assert.is(state.type, "tls-start");
      assert.is(client.isStartingTls, true);
      tls = "active";
      state = stepHandshake(state, { type: "tls-established" }, around(tls)).state;
      client.step({ type: "tls-established" });
      continue;
    }
    assert.ok(client.sent.length >= at + wanted, `the client says nothing in ${state.type}`);
    const bytes = client.sent.subarray(at, at + wanted);
    at += wanted;
    const step = stepHandshake(state, { type: "bytes", bytes }, around(tls));
    state = step.state;
    for (const effect of step.effects) if (effect.type === "send") client.hear(effect.bytes);
  }
  function around(how: "available" | "active") {
    return { tls: how, directory, shuttingDown: false };
  }
  assert.is(state.type, "transmission");
  assert.equal(client.options(), [STARTTLS, STRUCTURED_REPLY, SET_META_CONTEXT, GO]);
  assert.equal(client.agreed, {
    sizeBytes: 4096,
    flags: 0b1101_1110_1101,
    structuredReplies: true,
    allocationContext: 1,
    sizes: { minimum: 1, preferred: 4096, maximum: 8192 },
  });
});

test("does without what an old server does not know", () => {
  const client = new Client().hear(greeting(1));
  assert.equal([...client.sent.subarray(0, 4)], [0, 0, 0, 1]);
  assert.equal(client.options(), [STRUCTURED_REPLY]);
  client.hear(reply(STRUCTURED_REPLY, 0x8000_0001));
  assert.equal(client.options(), [GO]);
  client.hear(reply(GO, INFO, u(2, 77, 4, 1)), exported(5), reply(GO, ACK));
  assert.equal(client.agreed, {
    sizeBytes: SIZE,
    flags: 5,
    structuredReplies: false,
    allocationContext: null,
    sizes: { minimum: 1, preferred: 4096, maximum: 32 * 2 ** 20 },
  });
});

test("takes only the context it asked for, and no limit for a limit", () => {
  const client = new Client().hear(greeting(), reply(STRUCTURED_REPLY, ACK));
  client.hear(
    reply(SET_META_CONTEXT, META_CONTEXT, concat(u(4, 9), utf8("x:other"))),
    reply(SET_META_CONTEXT, META_CONTEXT, concat(u(4, 3), utf8("base:allocation"))),
    ...[reply(SET_META_CONTEXT, ACK), exported(), sizes(512, 4096, 0xffff_ffff), reply(GO, ACK)],
  );
  assert.is(client.agreed?.allocationContext, 3);
  assert.equal(client.agreed?.sizes, { minimum: 512, preferred: 4096, maximum: 0xffff_ffff });
});

test("gives every error reply its code, with the server's own sentence", () => {
  const toGo = [greeting(), reply(STRUCTURED_REPLY, 0x8000_0001)];
  const toContext = [greeting(), reply(STRUCTURED_REPLY, ACK)];
  for (const [type, name] of [
    [0x8000_0001, "ERR_UNSUP"],
    [0x8000_0002, "ERR_POLICY"],
    [0x8000_0003, "ERR_INVALID"],
    [0x8000_0004, "ERR_PLATFORM"],
    [0x8000_0005, "ERR_TLS_REQD"],
    [0x8000_0006, "ERR_UNKNOWN"],
    [0x8000_0007, "ERR_SHUTDOWN"],
    [0x8000_0008, "ERR_BLOCK_SIZE_REQD"],
    [0x8000_0009, "ERR_TOO_BIG"],
    [0xffff_fff0, "error reply 2147483632"],
  ] as const) {
    const { error } = new Client().hear(...toGo, reply(GO, type, utf8("fenced: no")));
    assert.is(error?.code, "NBD_SERVER_REFUSED");
    assert.equal(error?.details, { reply: name, said: "fenced: no" });
    const tls = new Client(true).hear(greeting(), reply(STARTTLS, type));
    assert.equal(tls.error?.details, { reply: name, said: "" });
    const isOptional = type === 0x8000_0001 || type === 0x8000_0003;
    const early = new Client().hear(...toContext, reply(SET_META_CONTEXT, type));
    assert.is(early.error?.code, isOptional ? undefined : "NBD_SERVER_REFUSED");
    if (isOptional) assert.is(early.options().at(-1), GO);
  }
  // A sentence that is none is left out.
  const odd = new Client().hear(...toGo, reply(GO, 0x8000_0002, u(1, 0xff)));
  assert.is(odd.error?.details["said"], "");
});

test("ends with a code when the server breaks the protocol", () => {
  const structured = [greeting(), reply(STRUCTURED_REPLY, ACK)];
  const go = [greeting(), reply(STRUCTURED_REPLY, 0x8000_0001)];
  const many = Array.from({ length: 65 }, () => reply(GO, INFO, u(2, 9)));
  for (const [what, ...messages] of [
    ["another protocol", utf8("HTTP/1.1 400 Bad Request\r\n")],
    ["oldstyle", concat(utf8("NBDMAGIC"), u(8, 0x00420281861253, 2, 3))],
    ["no fixed newstyle", greeting(0)],
    ["a reply without magic", greeting(), u(8, 1, 4, 8, 4, 1, 4, 0)],
    ["a reply to another option", greeting(), reply(GO, ACK)],
    ["a reply too long", greeting(), u(8, 0x3e889045565a9, 4, 8, 4, 1, 4, 2 ** 20)],
    ["no acknowledgement", greeting(), reply(STRUCTURED_REPLY, INFO, u(2, 0))],
    ["a context cut short", ...structured, reply(SET_META_CONTEXT, META_CONTEXT, u(2, 0))],
    ["a context to GO", ...go, reply(GO, META_CONTEXT, concat(u(4, 1), utf8("base:allocation")))],
    ["an export without a size", ...go, reply(GO, ACK)],
    ["information cut short", ...go, reply(GO, INFO, u(1, 0))],
    ["a size cut short", ...go, reply(GO, INFO, u(2, 0, 4, 0))],
    ["a size beyond all numbers", ...go, reply(GO, INFO, u(2, 0, 4, 2 ** 31, 4, 0, 2, 1))],
    ["a block size that is no power", ...go, exported(), sizes(3, 6, 9)],
    ["a maximum below the minimum", ...go, exported(), sizes(512, 512, 0)],
    ["replies without end", ...go, ...many],
  ] as const) {
    const client = new Client().hear(...messages);
    assert.is(client.error?.code, "NBD_SERVER_MISBEHAVED", what);
    assert.is(client.state.type, "failed");
  }
});

test("survives whatever a server may send", async () => {
  await withSeeds({ fixed: [1], more: 3 }, async (prng) => {
    for (let round = 0; round < 500; round++) {
      const wire = concat(
        ...[greeting(), reply(STRUCTURED_REPLY, ACK)],
        reply(SET_META_CONTEXT, META_CONTEXT, concat(u(4, 3), utf8("base:allocation"))),
        ...[reply(SET_META_CONTEXT, ACK), exported(), sizes(1, 4096, 2 ** 25), reply(GO, ACK)],
      );
      for (let count = prng.below(5); count > 0; count--)
        wire[prng.below(wire.length)] = prng.below(256);
      const client = new Client().hear(wire);
      const hasEnded = client.agreed !== null || client.error !== null;
      assert.ok(hasEnded || (wantedFromServer(client.state) ?? Infinity) <= 4200, "it waits");
      if (client.agreed !== null) assert.ok(Number.isSafeInteger(client.agreed.sizeBytes));
    }
  });
});

test.run();
