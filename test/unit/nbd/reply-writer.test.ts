/** Where an error of the back end is told to be: within the range of its request, if it has one. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_CACHE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_TRIM,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
} from "../../../src/nbd/constants.ts";
import { NBD_EIO } from "../../../src/nbd/export-backend.ts";
import { PayloadAccount, PayloadBudget } from "../../../src/nbd/payload-budget.ts";
import { ReplyQueue } from "../../../src/nbd/reply-queue.ts";
import { SlabPool } from "../../../src/nbd/reply-slab.ts";
import { ReplyWriter } from "../../../src/nbd/reply-writer.ts";
import { NbdRequest } from "../../../src/nbd/request.ts";
import { exportEntry, MemoryBackend } from "../../helpers/memory-backend.ts";
import { errorOf, integers } from "../../helpers/nbd-messages.ts";

const test = suite("nbd/reply-writer");

/** The chunk that answers a request which ended with EIO. */
function failed(command: number, offset: number, lengthBytes: number) {
  const queue = new ReplyQueue(new SlabPool((size) => new Uint8Array(size)));
  const budget = new PayloadBudget(2 ** 20);
  const account = new PayloadAccount(budget, 2 ** 20, { onBudgetFreed: () => undefined });
  const entry = exportEntry(new MemoryBackend({ sizeBytes: 2 ** 20 }));
  const session = { entry, structuredReplies: true, contexts: [] };
  const writer = new ReplyWriter(session, queue, account);
  const request = new NbdRequest({ onRequestDone: () => undefined });
  Object.assign(request, { command, offset, lengthBytes, cookieLow: 7 });
  writer.reply(request, NBD_EIO);
  const [segment] = queue.handOver();
  assert.ok(segment !== undefined);
  const bytes = segment.slab.bytes.slice(segment.start, segment.end);
  const [type = 0] = integers(bytes.subarray(6), 2);
  return { type, ...errorOf({ isLast: true, type, cookie: 7, payload: bytes.subarray(20) }) };
}

test("a flush has no range, so its error has no offset", () => {
  const { type, errno, offset } = failed(NBD_CMD_FLUSH, 0, 0);
  assert.equal([type, errno, offset], [0x8001, 5, undefined]);
});

test("the error of every command with a range is at its beginning", () => {
  const commands = [
    NBD_CMD_READ,
    NBD_CMD_WRITE,
    NBD_CMD_TRIM,
    NBD_CMD_CACHE,
    NBD_CMD_WRITE_ZEROES,
    NBD_CMD_BLOCK_STATUS,
  ];
  for (const command of commands) {
    const { type, errno, offset } = failed(command, 4096, 512);
    assert.equal([type, errno, offset], [0x8002, 5, 4096], `command ${command}`);
  }
});

test.run();
