import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FRAME_LENGTH_MAX, type SseFrame, SseParser } from "../../../web/src/live/sse-parser.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("sse-parser");

const parse = (...pieces: readonly string[]): SseFrame[] => {
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.push(piece));
};

test("a frame has id, event and data", () => {
  assert.equal(parse('id: 7\nevent: member.failed\ndata: {"a":1}\n\n'), [
    { id: "7", event: "member.failed", data: '{"a":1}' },
  ]);
});

test("a frame without event is a message, and keeps the id of the frame before", () => {
  assert.equal(parse("id: 7\ndata: a\n\ndata: b\n\n"), [
    { id: "7", event: "message", data: "a" },
    { id: "7", event: "message", data: "b" },
  ]);
});

test("data lines are joined by line feeds, one space after the colon is dropped", () => {
  assert.equal(
    parse("data:  two\ndata:one\ndata\n\n").map(({ data }) => data),
    [" two\none\n"],
  );
});

test("comments, unknown fields and frames without data give nothing", () => {
  assert.equal(parse(": heartbeat\n\n", "event: x\n\n", "other: y\n\n"), []);
});

test("line ends may be LF, CR or CRLF, and a byte order mark may come first", () => {
  const texts = [
    "data: a\n\ndata: b\n\n",
    "data: a\r\rdata: b\r\r\n",
    "data: a\r\n\r\ndata: b\r\n\r\n",
  ];
  for (const text of texts) {
    assert.equal(
      parse(`\uFEFF${text}`, "data: c\n\n").map(({ data }) => data),
      ["a", "b", "c"],
      JSON.stringify(text),
    );
  }
});

test("an unfinished frame waits for its end", () => {
  assert.equal(parse("data: a\n"), []);
  assert.equal(parse("data: a\n", "\n").length, 1);
});

test("an id with NUL is ignored, a retry time is kept", () => {
  const parser = new SseParser();
  const frames = parser.push("id: 1\ndata: a\n\nid: 2\0\nretry: 1500\nretry: x\ndata: b\n\n");
  assert.equal(
    frames.map(({ id }) => id),
    ["1", "1"],
  );
  assert.is(parser.retryMs, 1500);
});

test("a frame that does not end is refused before it fills the memory", () => {
  const piece = "x".repeat(1024 * 1024);
  assert.throws(() => {
    const parser = new SseParser();
    for (let length = 0; length <= FRAME_LENGTH_MAX; length += piece.length) {
      parser.push(piece);
    }
  }, /longer than/);
  assert.throws(() => {
    const parser = new SseParser();
    for (let length = 0; length <= FRAME_LENGTH_MAX; length += piece.length) {
      parser.push(`data: ${piece}\n`);
    }
  }, /longer than/);
});

test("frames are the same however the text is cut", async () => {
  const text = "id: 1\r\nevent: a\rdata: ä\n\n: c\r\n\r\ndata: b\ndata: c\r\n\r\nid\ndata:\n\n\n";
  const whole = parse(text, "\n");
  assert.is(whole.length, 3);
  await withSeeds({ fixed: [1], more: 20 }, (prng) => {
    const pieces: string[] = [];
    for (let at = 0; at < text.length; ) {
      const length = 1 + prng.below(4);
      pieces.push(text.slice(at, at + length));
      at += length;
    }
    assert.equal(parse(...pieces, "\n"), whole);
  });
});

test.run();
