/** The channel's texts in the store: their bytes, their size, and what is refused. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeLvb } from "../../../../src/cluster/dlm/lvb-text.ts";
import {
  decodeAck,
  decodeChannel,
  EMPTY_CHANNEL,
  encodeAck,
  encodeChannel,
} from "../../../../src/cluster/md/channel-record.ts";
import { CodedError } from "../../../../src/common/errors.ts";

const test = suite("cluster/md/channel-record");

const PAYLOAD = encodeLvb(new Uint8Array(64));
const OWNER = { slot: 2, epoch: 4711 };
const BUSY = { seq: 8, holder: OWNER, origin: OWNER, payload: PAYLOAD, isDone: false };

test("version 1, byte for byte", () => {
  const text = `{"v":1,"seq":8,"holder":{"slot":2,"epoch":4711},"origin":{"slot":2,"epoch":4711},"payload":"${PAYLOAD}","done":false}`;
  assert.is(encodeChannel(BUSY), text);
  assert.equal(decodeChannel(text), BUSY);
  assert.ok(text.length < 200, `${text.length} bytes`);
  const ack = '{"v":1,"seq":8,"epoch":4711,"refused":true}';
  assert.is(encodeAck({ seq: 8, epoch: 4711, isRefused: true }), ack);
  assert.equal(decodeAck(ack), { seq: 8, epoch: 4711, isRefused: true });
});

test("a free, a held and an unused channel", () => {
  for (const record of [
    EMPTY_CHANNEL,
    { ...EMPTY_CHANNEL, holder: OWNER },
    { ...BUSY, isDone: true },
    { ...BUSY, isDone: true, holder: null },
  ])
    assert.equal(decodeChannel(encodeChannel(record)), record);
});

const isRefused = (decode: () => unknown): boolean => {
  try {
    decode();
  } catch (error) {
    return error instanceof CodedError && error.code === "CLUSTER_BAD_CHANNEL";
  }
  return false;
};

test("what is no record is refused with its code", () => {
  for (const change of [
    { v: 2 },
    { seq: -1 },
    { seq: 1.5 },
    { seq: 0 },
    { holder: undefined },
    { holder: null },
    { holder: { slot: 0, epoch: 1 } },
    { origin: null },
    { origin: "2" },
    { payload: null },
    { payload: "AAAA" },
    { done: 1 },
  ]) {
    const text = JSON.stringify({ ...JSON.parse(encodeChannel(BUSY)), ...change });
    assert.ok(
      isRefused(() => decodeChannel(text)),
      text,
    );
  }
  for (const text of ["", "null", "7", "[", '{"v":1}', '{"v":1,"seq":1,"epoch":1,"refused":0}']) {
    assert.ok(
      isRefused(() => decodeChannel(text)),
      text,
    );
    assert.ok(
      isRefused(() => decodeAck(text)),
      text,
    );
  }
});

test.run();
