import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeRequest } from "../../../src/nbd/request-codec.ts";
import { concat, requestBytes, u } from "../../helpers/nbd-messages.ts";

const test = suite("nbd/request-codec");

const empty = () => ({
  flags: 0,
  command: 0,
  cookieHigh: 0,
  cookieLow: 0,
  offset: 0,
  lengthBytes: 0,
});

test("reads every field from where it is in the chunk", () => {
  const request = requestBytes({
    command: 6,
    flags: 0x8011,
    cookie: 0x1_8000_0002,
    offset: 5 * 2 ** 40 + 512,
    length: 0xffff_fffe,
  });
  const bytes = concat(u(1, 9, 2, 9), request);
  const into = empty();
  assert.is(decodeRequest(new DataView(bytes.buffer), 3, into), true);
  assert.equal(into, {
    flags: 0x8011,
    command: 6,
    cookieHigh: 1,
    cookieLow: 0x8000_0002,
    offset: 5 * 2 ** 40 + 512,
    lengthBytes: 0xffff_fffe,
  });
});

test("refuses any other magic", () => {
  const good = requestBytes({ command: 0, offset: 0, length: 512 });
  for (let bit = 0; bit < 32; bit += 1) {
    const bytes = good.slice();
    const at = Math.floor(bit / 8);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit % 8));
    assert.is(decodeRequest(new DataView(bytes.buffer), 0, empty()), false);
  }
});

test("an offset near 2^64 stays far past any export", () => {
  const bytes = requestBytes({ command: 0, length: 512 });
  bytes.fill(0xff, 16, 24);
  const into = empty();
  decodeRequest(new DataView(bytes.buffer), 0, into);
  assert.ok(into.offset >= 2 ** 63);
});

test.run();
