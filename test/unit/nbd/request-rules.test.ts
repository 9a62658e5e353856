/** Every rule of requests, row by row: which error each broken rule gives, and what passes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Session } from "../../../src/nbd/negotiation.ts";
import {
  checkRequest,
  DF_NOT_AGREED,
  EMPTY_RANGE,
  FLUSH_WITH_RANGE,
  NO_CONTEXT,
  READ_ONLY,
  READ_PAST_END,
  type Refusal,
  requestLimits,
  TOO_LONG,
  TOO_LONG_FOR_ONE_CHUNK,
  UNALIGNED,
  UNKNOWN_COMMAND,
  UNKNOWN_FLAG,
  WRITE_PAST_END,
} from "../../../src/nbd/request-rules.ts";
import { exportEntry, MemoryBackend } from "../../helpers/memory-backend.ts";

const test = suite("nbd/request-rules");

const READ = 0;
const WRITE = 1;
const FLUSH = 3;
const TRIM = 4;
const CACHE = 5;
const WRITE_ZEROES = 6;
const BLOCK_STATUS = 7;
const FUA = 1;
const NO_HOLE = 2;
const DF = 4;
const REQ_ONE = 8;
const FAST_ZERO = 16;

const SIZE = 1024 * 1024;
const MAXIMUM = 65_536;

function makeSession(change: Partial<Session> & { readOnly?: boolean; minimumBlock?: number }) {
  const { readOnly = false, minimumBlock = 1, ...rest } = change;
  const backend = new MemoryBackend({ sizeBytes: SIZE, readOnly });
  const entry = exportEntry(backend, { minimumBlock, maximumPayload: MAXIMUM });
  return { entry, structuredReplies: true, contexts: ["base:allocation"], ...rest } as Session;
}

const FULL = makeSession({});

function check(
  command: number,
  flags: number,
  offset: number,
  lengthBytes: number,
  session: Session = FULL,
): Refusal | null {
  const request = { command, flags, offset, lengthBytes, cookieHigh: 0, cookieLow: 0 };
  return checkRequest(request, requestLimits(session));
}

test("gives each broken rule its error number", () => {
  const numbers = [
    [UNKNOWN_COMMAND, 22],
    [UNKNOWN_FLAG, 22],
    [DF_NOT_AGREED, 22],
    [FLUSH_WITH_RANGE, 22],
    [NO_CONTEXT, 22],
    [READ_ONLY, 1],
    [EMPTY_RANGE, 22],
    [READ_PAST_END, 22],
    [WRITE_PAST_END, 28],
    [UNALIGNED, 22],
    [TOO_LONG, 22],
    [TOO_LONG_FOR_ONE_CHUNK, 75],
  ] as const;
  for (const [refusal, errno] of numbers) assert.is(refusal.errno, errno, refusal.message);
});

test("refuses commands that it does not know", () => {
  for (const command of [2, 8, 9, 255, 0xffff]) {
    assert.is(check(command, 0, 0, 512), UNKNOWN_COMMAND);
  }
});

test("takes FUA on every command and each other flag on its own command only", () => {
  const allowed: Readonly<Record<number, number>> = {
    [READ]: FUA | DF,
    [WRITE]: FUA,
    [FLUSH]: FUA,
    [TRIM]: FUA,
    [CACHE]: FUA,
    [WRITE_ZEROES]: FUA | NO_HOLE | FAST_ZERO,
    [BLOCK_STATUS]: FUA | REQ_ONE,
  };
  for (const [command, mask] of Object.entries(allowed)) {
    for (let bit = 0; bit < 16; bit += 1) {
      const flags = 1 << bit;
      const length = Number(command) === FLUSH ? 0 : 512;
      const expected = (mask & flags) === 0 ? UNKNOWN_FLAG : null;
      assert.is(
        check(Number(command), flags, 0, length),
        expected,
        `command ${command} bit ${bit}`,
      );
    }
  }
});

test("refuses DF without structured replies", () => {
  const simple = makeSession({ structuredReplies: false, contexts: [] });
  assert.is(check(READ, DF, 0, 512, simple), DF_NOT_AGREED);
  assert.is(check(READ, 0, 0, 512, simple), null);
});

test("refuses a flush with a range", () => {
  assert.is(check(FLUSH, 0, 0, 0), null);
  assert.is(check(FLUSH, 0, 512, 0), FLUSH_WITH_RANGE);
  assert.is(check(FLUSH, 0, 0, 512), FLUSH_WITH_RANGE);
});

test("refuses every writing command on a read-only export, before its range", () => {
  const frozen = makeSession({ readOnly: true });
  for (const command of [WRITE, TRIM, WRITE_ZEROES]) {
    assert.is(check(command, 0, 0, 512, frozen), READ_ONLY);
    assert.is(check(command, FUA, SIZE, 512, frozen), READ_ONLY);
  }
  for (const command of [READ, CACHE, BLOCK_STATUS]) {
    assert.is(check(command, 0, 0, 512, frozen), null);
  }
});

test("refuses an empty range", () => {
  for (const command of [READ, WRITE, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS]) {
    assert.is(check(command, 0, 0, 0), EMPTY_RANGE);
  }
});

test("refuses a range past the end: no space for what writes, invalid for the rest", () => {
  const rows: [number, Refusal][] = [
    [READ, READ_PAST_END],
    [WRITE, WRITE_PAST_END],
    [TRIM, READ_PAST_END],
    [CACHE, READ_PAST_END],
    [WRITE_ZEROES, WRITE_PAST_END],
    [BLOCK_STATUS, READ_PAST_END],
  ];
  for (const [command, expected] of rows) {
    assert.is(check(command, 0, SIZE - 512, 512), null);
    assert.is(check(command, 0, SIZE - 511, 512), expected);
    assert.is(check(command, 0, SIZE, 1), expected);
    assert.is(check(command, 0, 2 ** 63, 512), expected);
    assert.is(check(command, 0, 2 ** 64, 0xffff_ffff), expected);
    assert.is(check(command, 0, 0, 0xffff_ffff), expected);
  }
});

test("refuses a range that is not aligned to the minimum block", () => {
  const coarse = makeSession({ minimumBlock: 4096 });
  for (const command of [READ, WRITE, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS]) {
    assert.is(check(command, 0, 4096, 8192, coarse), null);
    assert.is(check(command, 0, 4095, 4096, coarse), UNALIGNED);
    assert.is(check(command, 0, 4096, 4095, coarse), UNALIGNED);
    assert.is(check(command, 0, 1, 1), null);
  }
});

test("refuses a payload above the maximum, and with DF says that it overflows", () => {
  assert.is(check(READ, 0, 0, MAXIMUM), null);
  assert.is(check(READ, DF, 0, MAXIMUM), null);
  assert.is(check(READ, 0, 0, MAXIMUM + 1), TOO_LONG);
  assert.is(check(READ, DF, 0, MAXIMUM + 1), TOO_LONG_FOR_ONE_CHUNK);
  assert.is(check(WRITE, 0, 0, MAXIMUM), null);
  assert.is(check(WRITE, 0, 0, MAXIMUM + 1), TOO_LONG);
});

test("commands without payload may cover the whole export", () => {
  for (const command of [TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS]) {
    assert.is(check(command, 0, 0, SIZE), null);
  }
});

test("refuses block status when no context was set", () => {
  assert.is(check(BLOCK_STATUS, 0, 0, 512, makeSession({ contexts: [] })), NO_CONTEXT);
});

test("an export may not raise the payload above the server's own limit", () => {
  const entry = exportEntry(new MemoryBackend({ sizeBytes: 4096 }), { maximumPayload: 2 ** 31 });
  const limits = requestLimits({ entry, structuredReplies: false, contexts: [] });
  assert.is(limits.maximumPayload, 32 * 1024 * 1024);
});

test.run();
