/**
 * The handshake machine, option by option: client bytes in, replies out. The client's side is
 * written by test/helpers/nbd-messages.ts, not by the codecs under test.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  HANDSHAKE_START,
  type HandshakeEffect,
  type HandshakeState,
  stepHandshake,
  wantedBytes,
} from "../../../src/nbd/handshake.ts";
import type { HandshakeSurroundings, Session } from "../../../src/nbd/negotiation.ts";
import { directoryOf, exportEntry, MemoryBackend } from "../../helpers/memory-backend.ts";
import {
  concat,
  contextRequestBytes,
  exportRequestBytes,
  integers,
  type OptionReplyMessage,
  optionBytes,
  textOf,
  u,
  utf8,
} from "../../helpers/nbd-messages.ts";

const test = suite("nbd/handshake");

const EXPORT_NAME = 1;
const ABORT = 2;
const LIST = 3;
const STARTTLS = 5;
const INFO = 6;
const GO = 7;
const STRUCTURED_REPLY = 8;
const LIST_META_CONTEXT = 9;
const SET_META_CONTEXT = 10;
const ACK = 1;
const ERR_UNSUP = 0x8000_0001;
const ERR_POLICY = 0x8000_0002;
const ERR_INVALID = 0x8000_0003;
const ERR_TLS_REQD = 0x8000_0005;
const ERR_UNKNOWN = 0x8000_0006;
const ERR_SHUTDOWN = 0x8000_0007;
const ERR_TOO_BIG = 0x8000_0009;
/** Every flag of a writable export without structured replies. */
const WRITABLE_FLAGS = 0b1101_0110_1101;

const SIZE = 1024 * 1024;
const writable = exportEntry(new MemoryBackend({ sizeBytes: SIZE }), { description: "one" });
const secret = exportEntry(new MemoryBackend({ sizeBytes: SIZE }), {
  name: "secret",
  tlsRequired: true,
});
const readOnly = exportEntry(new MemoryBackend({ sizeBytes: SIZE, readOnly: true }), {
  name: "frozen",
});

/** A client in the middle of a handshake. */
class Dialogue {
  state: HandshakeState = HANDSHAKE_START;
  surroundings: HandshakeSurroundings;
  #waiting: Uint8Array = u();

  constructor(surroundings: Partial<HandshakeSurroundings> = {}, clientFlags = 3) {
    this.surroundings = {
      tls: "off",
      directory: directoryOf([writable]),
      shuttingDown: false,
      ...surroundings,
    };
    this.say(u(4, clientFlags));
  }

  /** Feeds bytes as the driver does and returns every effect. */
  say(bytes: Uint8Array): HandshakeEffect[] {
    this.#waiting = concat(this.#waiting, bytes);
    const effects: HandshakeEffect[] = [];
    for (;;) {
      const wanted = wantedBytes(this.state);
      if (wanted === null || this.#waiting.length < wanted) return effects;
      const taken = this.#waiting.subarray(0, this.state.type === "option-skip" ? 0 : wanted);
      this.#waiting = this.#waiting.subarray(wanted);
      const step = stepHandshake(this.state, { type: "bytes", bytes: taken }, this.surroundings);
      this.state = step.state;
      effects.push(...step.effects);
    }
  }

  /** Sends one option and returns its replies; fails when anything else happened. */
  ask(option: number, payload?: Uint8Array): OptionReplyMessage[] {
    return this.say(optionBytes(option, payload)).map((effect) => {
      assert.is(effect.type, "send");
      return readReply(effect, option);
    });
  }
}

function readReply(effect: HandshakeEffect, option: number): OptionReplyMessage {
  assert.is(effect.type, "send");
  const bytes = effect.type === "send" ? effect.bytes : u();
  const [magic, echoed = 0, type = 0, length] = integers(bytes, 8, 4, 4, 4);
  assert.is(magic, 0x3e889045565a9);
  assert.is(echoed, option);
  assert.is(length, bytes.length - 20);
  return { option: echoed, type, payload: bytes.subarray(20) };
}

const types = (replies: readonly OptionReplyMessage[]): number[] => replies.map(({ type }) => type);

/** Effect types, for handshakes that end. */
const kinds = (effects: readonly HandshakeEffect[]): string[] => effects.map(({ type }) => type);

function sessionOf(effects: readonly HandshakeEffect[]): Session {
  const entered = effects.find((effect) => effect.type === "enter-transmission");
  assert.ok(entered);
  return (entered as { session: Session }).session;
}

test("waits for the client's flags, then for options", () => {
  assert.is(wantedBytes(HANDSHAKE_START), 4);
  const dialogue = new Dialogue();
  assert.is(dialogue.state.type, "option-header");
  assert.is(wantedBytes(dialogue.state), 16);
});

test("closes on client flags that it did not offer", () => {
  for (const flags of [4, 7, 0x8000_0000]) {
    assert.is(new Dialogue({}, flags).state.type, "closed");
  }
});

test("closes on an option without the magic", () => {
  const effects = new Dialogue().say(concat(utf8("IHAVEOPX"), u(4, LIST, 4, 0)));
  assert.equal(effects, [{ type: "close", reason: "bad option magic" }]);
});

test("a client without fixed newstyle may only send EXPORT_NAME", () => {
  assert.equal(new Dialogue({}, 0).say(optionBytes(LIST)), [
    { type: "close", reason: "option before fixed newstyle" },
  ]);
  const effects = new Dialogue({}, 0).say(optionBytes(EXPORT_NAME, utf8("md0")));
  assert.equal(kinds(effects), ["send", "enter-transmission"]);
});

test("EXPORT_NAME answers size and flags, with 124 zeroes unless agreed without", () => {
  for (const [clientFlags, padding] of [
    [3, 0],
    [1, 124],
  ] as const) {
    const effects = new Dialogue({}, clientFlags).say(optionBytes(EXPORT_NAME, utf8("md0")));
    const [answer] = effects;
    assert.equal(answer, {
      type: "send",
      bytes: concat(u(8, SIZE, 2, WRITABLE_FLAGS), new Uint8Array(padding)),
    });
    assert.is(sessionOf(effects).entry, writable);
  }
});

test("EXPORT_NAME closes without an answer when the export is unknown, hidden or ill named", () => {
  const closed = [{ type: "close", reason: "export refused" }];
  assert.equal(new Dialogue().say(optionBytes(EXPORT_NAME, utf8("nope"))), closed);
  assert.equal(new Dialogue().say(optionBytes(EXPORT_NAME, Uint8Array.of(0xff))), closed);
  assert.equal(new Dialogue().say(optionBytes(EXPORT_NAME, Uint8Array.of(0x61, 0))), closed);
  const tls = new Dialogue({ tls: "available", directory: directoryOf([secret]) });
  assert.equal(tls.say(optionBytes(EXPORT_NAME, utf8("secret"))), closed);
  const late = new Dialogue({ shuttingDown: true });
  assert.equal(late.say(optionBytes(EXPORT_NAME, utf8("md0"))), closed);
});

test("ABORT is acknowledged, whatever data it has, and ends the session", () => {
  for (const payload of [u(), utf8("bye")]) {
    const effects = new Dialogue().say(optionBytes(ABORT, payload));
    assert.equal(kinds(effects), ["send", "close"]);
    assert.is(readReply(effects[0] as HandshakeEffect, ABORT).type, ACK);
  }
});

test("LIST tells names and descriptions, and exports that need TLS only over TLS", () => {
  const directory = directoryOf([writable, secret]);
  const plain = new Dialogue({ tls: "available", directory }).ask(LIST);
  assert.equal(types(plain), [2, ACK]);
  assert.equal(plain[0]?.payload, concat(u(4, 3), utf8("md0one")));
  assert.equal(types(new Dialogue({ tls: "active", directory }).ask(LIST)), [2, 2, ACK]);
  assert.equal(types(new Dialogue({ directory: directoryOf([]) }).ask(LIST)), [ACK]);
});

test("options that take no data are refused with data", () => {
  for (const option of [LIST, STARTTLS, STRUCTURED_REPLY]) {
    const dialogue = new Dialogue({ tls: "available" });
    assert.equal(types(dialogue.ask(option, u(1, 0))), [ERR_INVALID]);
    assert.is(dialogue.state.type, "option-header");
  }
});

test("an unknown option is refused and the next one understood", () => {
  for (const option of [0, 4, 11, 12, 0xffff_ffff]) {
    const dialogue = new Dialogue();
    assert.equal(types(dialogue.ask(option, utf8("whatever"))), [ERR_UNSUP]);
    assert.equal(types(dialogue.ask(LIST)), [2, ACK]);
  }
});

test("INFO tells the export always, the rest when asked", () => {
  const bare = new Dialogue().ask(INFO, exportRequestBytes("md0"));
  assert.equal(types(bare), [3, ACK]);
  assert.equal(bare[0]?.payload, u(2, 0, 8, SIZE, 2, WRITABLE_FLAGS));
  const full = new Dialogue().ask(INFO, exportRequestBytes("", [3, 2, 1, 0, 999]));
  assert.equal(types(full), [3, 3, 3, 3, ACK]);
  assert.equal(full[1]?.payload, concat(u(2, 1), utf8("md0")));
  assert.equal(full[2]?.payload, concat(u(2, 2), utf8("one")));
  assert.equal(full[3]?.payload, u(2, 3, 4, 1, 4, 4096, 4, 32 * 1024 * 1024));
});

test("a read-only export offers no writing command", () => {
  const dialogue = new Dialogue({ directory: directoryOf([readOnly]) });
  const [information] = dialogue.ask(INFO, exportRequestBytes("frozen"));
  assert.equal(information?.payload, u(2, 0, 8, SIZE, 2, 0b0101_0000_1111));
});

test("GO enters transmission with what was negotiated", () => {
  const effects = new Dialogue().say(optionBytes(GO, exportRequestBytes("md0")));
  assert.equal(kinds(effects), ["send", "send", "enter-transmission"]);
  assert.equal(sessionOf(effects), { entry: writable, structuredReplies: false, contexts: [] });
});

test("DF is offered once structured replies are agreed", () => {
  const dialogue = new Dialogue();
  assert.equal(types(dialogue.ask(STRUCTURED_REPLY)), [ACK]);
  const [information] = dialogue.ask(INFO, exportRequestBytes("md0"));
  assert.equal(information?.payload, u(2, 0, 8, SIZE, 2, WRITABLE_FLAGS | 0x80));
  const effects = dialogue.say(optionBytes(GO, exportRequestBytes("md0")));
  assert.is(sessionOf(effects).structuredReplies, true);
});

test("INFO and GO refuse an unknown export and the client may try another", () => {
  for (const option of [INFO, GO]) {
    const dialogue = new Dialogue();
    assert.equal(types(dialogue.ask(option, exportRequestBytes("nope"))), [ERR_UNKNOWN]);
    const effects = dialogue.say(optionBytes(GO, exportRequestBytes("md0")));
    assert.is(effects.at(-1)?.type, "enter-transmission");
  }
});

test("INFO and GO refuse malformed data", () => {
  const good = exportRequestBytes("md0", [0]);
  const cases: [string, Uint8Array][] = [
    ["empty", u()],
    ["cut short", good.subarray(0, good.length - 1)],
    ["a byte too many", concat(good, u(1, 0))],
    ["name length past the end", concat(u(4, 0xffff_ffff), good.subarray(4))],
    ["more types than there are", concat(u(4, 0, 2, 0xffff), u(2, 0))],
    ["not UTF-8", concat(u(4, 2), Uint8Array.of(0xc3, 0x28), u(2, 0))],
    ["NUL in the name", concat(u(4, 3), utf8("m\0d"), u(2, 0))],
  ];
  for (const option of [INFO, GO]) {
    for (const [name, payload] of cases) {
      assert.equal(types(new Dialogue().ask(option, payload)), [ERR_INVALID], name);
    }
  }
});

test("an export that needs TLS is refused without, by a word the client can follow", () => {
  const directory = directoryOf([secret]);
  for (const [tls, expected] of [
    ["available", ERR_TLS_REQD],
    ["off", ERR_POLICY],
  ] as const) {
    for (const option of [INFO, GO]) {
      const replies = new Dialogue({ tls, directory }).ask(option, exportRequestBytes("secret"));
      assert.equal(types(replies), [expected]);
    }
  }
  const over = new Dialogue({ tls: "active", directory });
  assert.equal(types(over.ask(INFO, exportRequestBytes("secret"))), [3, ACK]);
});

test("STARTTLS is refused without a certificate and when TLS is active", () => {
  assert.equal(types(new Dialogue({ tls: "off" }).ask(STARTTLS)), [ERR_POLICY]);
  assert.equal(types(new Dialogue({ tls: "active" }).ask(STARTTLS)), [ERR_INVALID]);
});

test("STARTTLS forgets what was negotiated before it", () => {
  const dialogue = new Dialogue({ tls: "available" });
  dialogue.ask(STRUCTURED_REPLY);
  dialogue.ask(SET_META_CONTEXT, contextRequestBytes("md0", ["base:allocation"]));
  const effects = dialogue.say(optionBytes(STARTTLS));
  assert.equal(kinds(effects), ["send", "start-tls"]);
  assert.is(wantedBytes(dialogue.state), null);
  const surroundings = { ...dialogue.surroundings, tls: "active" } as const;
  const step = stepHandshake(dialogue.state, { type: "tls-established" }, surroundings);
  assert.is(step.state.type, "option-header");
  dialogue.state = step.state;
  dialogue.surroundings = surroundings;
  const session = sessionOf(dialogue.say(optionBytes(GO, exportRequestBytes("md0"))));
  assert.equal(session, { entry: writable, structuredReplies: false, contexts: [] });
});

test("LIST_META_CONTEXT follows names and wildcards and gives the id 0", () => {
  const rows: [string[], string[]][] = [
    [[], ["base:allocation", "satsuma:dirty"]],
    [["base:"], ["base:allocation"]],
    [["satsuma:"], ["satsuma:dirty"]],
    [["base:allocation", "base:"], ["base:allocation"]],
    [
      ["satsuma:dirty", "base:allocation"],
      ["base:allocation", "satsuma:dirty"],
    ],
    [["base:other", "qemu:dirty-bitmap:", "x-one:two"], []],
  ];
  for (const [queries, expected] of rows) {
    const replies = new Dialogue().ask(LIST_META_CONTEXT, contextRequestBytes("md0", queries));
    assert.is(replies.at(-1)?.type, ACK);
    const contexts = replies.slice(0, -1);
    assert.ok(contexts.every(({ type, payload }) => type === 4 && integers(payload, 4)[0] === 0));
    assert.equal(
      contexts.map(({ payload }) => textOf(payload.subarray(4))),
      expected,
    );
  }
});

test("SET_META_CONTEXT selects exact names only, each with an id of its own", () => {
  const rows: [string[], [number, string][]][] = [
    [[], []],
    [["base:", "satsuma:"], []],
    [["base:allocation"], [[1, "base:allocation"]]],
    [
      ["satsuma:dirty", "base:allocation", "satsuma:dirty", "x-one:two"],
      [
        [1, "base:allocation"],
        [2, "satsuma:dirty"],
      ],
    ],
  ];
  for (const [queries, expected] of rows) {
    const dialogue = new Dialogue();
    dialogue.ask(STRUCTURED_REPLY);
    const replies = dialogue.ask(SET_META_CONTEXT, contextRequestBytes("md0", queries));
    const contexts = replies.slice(0, -1).map(({ payload }) => {
      return [integers(payload, 4)[0], textOf(payload.subarray(4))];
    });
    assert.equal(contexts, expected);
    const session = sessionOf(dialogue.say(optionBytes(GO, exportRequestBytes(""))));
    assert.equal(
      session.contexts,
      expected.map(([, name]) => name),
    );
  }
});

test("SET_META_CONTEXT needs structured replies first", () => {
  const payload = contextRequestBytes("md0", ["base:allocation"]);
  assert.equal(types(new Dialogue().ask(SET_META_CONTEXT, payload)), [ERR_INVALID]);
});

test("a failed SET_META_CONTEXT, or one for another export, leaves no context", () => {
  const directory = directoryOf([writable, readOnly]);
  const set = contextRequestBytes("md0", ["base:allocation"]);
  const spoilers = [
    contextRequestBytes("md0", ["no namespace"]),
    contextRequestBytes("nope", ["base:allocation"]),
    contextRequestBytes("frozen", ["base:allocation"]),
    u(4, 0, 4, 1),
  ];
  for (const spoiler of spoilers) {
    const dialogue = new Dialogue({ directory });
    dialogue.ask(STRUCTURED_REPLY);
    dialogue.ask(SET_META_CONTEXT, set);
    dialogue.ask(SET_META_CONTEXT, spoiler);
    const session = sessionOf(dialogue.say(optionBytes(GO, exportRequestBytes("md0"))));
    assert.equal(session.contexts, []);
  }
});

test("metadata context options refuse what is malformed, unknown or too much", () => {
  const cases: [string, Uint8Array, number][] = [
    ["empty", u(), ERR_INVALID],
    ["query past the end", concat(u(4, 0, 4, 1, 4, 9), utf8("base:")), ERR_INVALID],
    ["bytes left over", concat(contextRequestBytes("md0", []), u(1, 0)), ERR_INVALID],
    ["no colon", contextRequestBytes("md0", ["base"]), ERR_INVALID],
    ["empty namespace", contextRequestBytes("md0", [":dirty"]), ERR_INVALID],
    ["too many queries", u(4, 0, 4, 17), ERR_TOO_BIG],
    ["2^32 - 1 queries", u(4, 0, 4, 0xffff_ffff), ERR_TOO_BIG],
    ["unknown export", contextRequestBytes("nope", []), ERR_UNKNOWN],
  ];
  for (const option of [LIST_META_CONTEXT, SET_META_CONTEXT]) {
    for (const [name, payload, expected] of cases) {
      const dialogue = new Dialogue();
      dialogue.ask(STRUCTURED_REPLY);
      assert.equal(types(dialogue.ask(option, payload)), [expected], name);
    }
  }
});

test("a server that closes refuses every option but ABORT with SHUTDOWN", () => {
  for (const option of [LIST, STARTTLS, INFO, GO, STRUCTURED_REPLY, LIST_META_CONTEXT, 77]) {
    assert.equal(types(new Dialogue({ shuttingDown: true }).ask(option)), [ERR_SHUTDOWN]);
  }
  const effects = new Dialogue({ shuttingDown: true }).say(optionBytes(ABORT));
  assert.equal(kinds(effects), ["send", "close"]);
});

test("an option of 64 KiB is read, a longer one skipped, one above 1 MiB ends the session", () => {
  assert.equal(types(new Dialogue().ask(77, new Uint8Array(65_536))), [ERR_UNSUP]);
  const dialogue = new Dialogue();
  assert.equal(types(dialogue.ask(GO, new Uint8Array(65_537))), [ERR_TOO_BIG]);
  assert.equal(types(dialogue.ask(LIST)), [2, ACK]);
  const hostile = concat(utf8("IHAVEOPT"), u(4, GO, 4, 1_048_577));
  assert.equal(new Dialogue().say(hostile), [{ type: "close", reason: "option too long" }]);
  const name = concat(utf8("IHAVEOPT"), u(4, EXPORT_NAME, 4, 65_537));
  assert.equal(new Dialogue().say(name), [{ type: "close", reason: "option too long" }]);
});

test("a client gets 64 options, no more", () => {
  const dialogue = new Dialogue();
  for (let count = 0; count < 64; count += 1) assert.is(dialogue.ask(77).length, 1);
  assert.equal(dialogue.say(optionBytes(77)), [{ type: "close", reason: "too many options" }]);
});

test.run();
