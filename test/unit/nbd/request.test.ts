import { suite } from "uvu";
import * as assert from "uvu/assert";
import { InputBlockPool } from "../../../src/nbd/input-block.ts";
import { NbdRequest } from "../../../src/nbd/request.ts";

const test = suite("nbd/request");

function makeRequest(): { request: NbdRequest; done: number[] } {
  const done: number[] = [];
  const request = new NbdRequest({ onRequestDone: (_, errno) => done.push(errno) });
  return { request, done };
}

test("tells its owner how it ended, once per dispatch", () => {
  const { request, done } = makeRequest();
  request.handToBackend();
  request.complete(5);
  assert.throws(() => request.complete(0), /completed a request twice/);
  request.handToBackend();
  request.complete(0);
  assert.equal(done, [5, 0]);
});

test("lets go of the blocks of its payload when it is used again", () => {
  const { request } = makeRequest();
  const block = new InputBlockPool((size) => new Uint8Array(size)).makeSmall();
  for (const piece of [block.bytes.subarray(0, 10), block.bytes.subarray(10, 20)]) {
    block.retain();
    request.pieces.push(piece);
    request.blocks.push(block);
  }
  request.reset();
  assert.equal([request.pieces.length, request.blocks.length, block.references], [0, 0, 0]);
});

test.run();
