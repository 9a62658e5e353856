/** Replies byte for byte, as the protocol document draws them. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  encodeDataHead,
  encodeErrorChunk,
  encodeSimpleReply,
  encodeStatusChunk,
  errorChunkBytes,
  statusChunkBytes,
} from "../../../src/nbd/reply-codec.ts";
import { concat, u, utf8 } from "../../helpers/nbd-messages.ts";

const test = suite("nbd/reply-codec");

const COOKIE = { cookieHigh: 0xaabb_ccdd, cookieLow: 0x1122_3344 };
const COOKIE_BYTES = u(4, 0xaabb_ccdd, 4, 0x1122_3344);
const AT = 5;

/**
 * What `encode` writes at position 5 of an array of `size` bytes more, which lies in a larger one.
 */
function written(size: number, encode: (view: DataView, at: number) => void): Uint8Array {
  const memory = new Uint8Array(AT + size + 64).fill(0xee);
  const bytes = memory.subarray(16, 16 + AT + size);
  encode(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), AT);
  const untouched = concat(memory.subarray(0, 16 + AT), memory.subarray(16 + AT + size));
  assert.ok(untouched.every((byte) => byte === 0xee));
  return bytes.slice(AT);
}

test("a simple reply", () => {
  const bytes = written(16, (view, at) => encodeSimpleReply(view, at, COOKIE, 28));
  assert.equal(bytes, concat(u(4, 0x67446698, 4, 28), COOKIE_BYTES));
});

test("the head of a read's data", () => {
  const offset = 3 * 2 ** 40 + 7;
  const bytes = written(28, (view, at) => encodeDataHead(view, at, COOKIE, offset, 4096));
  assert.equal(bytes, concat(u(4, 0x668e33ef, 2, 1, 2, 1), COOKIE_BYTES, u(4, 4104, 8, offset)));
});

test("an error without and with an offset", () => {
  const message = utf8("bad luck");
  const plain = written(errorChunkBytes(message, null), (view, at) =>
    encodeErrorChunk(view, at, COOKIE, 22, message, null),
  );
  const head = (type: number, length: number): Uint8Array =>
    concat(u(4, 0x668e33ef, 2, 1, 2, type), COOKIE_BYTES, u(4, length));
  assert.equal(plain, concat(head(0x8001, 14), u(4, 22, 2, 8), message));
  const placed = written(errorChunkBytes(message, 512), (view, at) =>
    encodeErrorChunk(view, at, COOKIE, 5, message, 2 ** 33),
  );
  assert.equal(placed, concat(head(0x8002, 22), u(4, 5, 2, 8), message, u(8, 2 ** 33)));
});

test("block status of one context, last or not", () => {
  const extents = [
    { lengthBytes: 0xffff_fe00, flags: 3 },
    { lengthBytes: 512, flags: 0 },
  ];
  for (const isLast of [true, false]) {
    const bytes = written(statusChunkBytes(2), (view, at) =>
      encodeStatusChunk(view, at, COOKIE, 2, extents, isLast),
    );
    const head = concat(u(4, 0x668e33ef, 2, isLast ? 1 : 0, 2, 5), COOKIE_BYTES, u(4, 20));
    assert.equal(bytes, concat(head, u(4, 2, 4, 0xffff_fe00, 4, 3, 4, 512, 4, 0)));
  }
});

test.run();
