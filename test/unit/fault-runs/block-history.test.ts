/** The judge of fault runs finds what is planted in a history, and nothing in one that is right. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BlockHistory } from "../../helpers/fault-runs/block-history.ts";
import { type BlockValue, decodeBlock, encodeBlock } from "../../helpers/fault-runs/block-value.ts";

const test = suite("fault runs: the history of a block");
const BLOCK = 0;
const A = { board: "board1", openedAt: 0 };
const B = { board: "board2", openedAt: 0 };

const fresh = () => new BlockHistory([0, 1]);

/** A write that is acknowledged at its first attempt. Returns its number. */
const written = (history: BlockHistory, block = BLOCK): number => {
  const number = history.beginWrite(block, history.owner(block));
  history.acknowledge(block, number, history.attempt(block, number, A, 0));
  return number;
};

const value = (write: number, attempt = 0, block = BLOCK): BlockValue => ({
  block: write === 0 ? -1 : block,
  write,
  attempt,
});

const readNow = (history: BlockHistory, ...values: BlockValue[]) =>
  history.endRead(history.beginRead(BLOCK), values);

test("what was acknowledged is read", () => {
  const history = fresh();
  assert.is(readNow(history, value(0)), null);
  const first = written(history);
  assert.is(readNow(history, value(first)), null);
  assert.is(readNow(history, value(written(history))), null);
});

test("planted: a lost write shows what was there before", () => {
  const history = fresh();
  const first = written(history);
  written(history);
  assert.match(readNow(history, value(first)) ?? "", /write 1, though 2 was acknowledged/);
  assert.match(readNow(history, value(0)) ?? "", /nothing, though write 2/);
});

test("planted: what nobody wrote, another block, a write or an attempt that was never made", () => {
  const history = fresh();
  const first = written(history);
  const other = written(history, 1);
  assert.match(history.endRead(history.beginRead(BLOCK), null) ?? "", /nobody wrote/);
  assert.match(readNow(history, value(other, 0, 1)) ?? "", /of block 1/);
  assert.match(readNow(history, value(99)) ?? "", /99, which nobody made/);
  assert.match(readNow(history, value(first, 3)) ?? "", /attempt 3 .* nobody made/);
});

test("a read that was under way may see the write before or any begun meanwhile", () => {
  const history = fresh();
  const first = written(history);
  const reads = [0, 1, 2].map(() => history.beginRead(BLOCK));
  const second = written(history);
  const third = written(history);
  const seen = [first, second, third];
  for (const [at, read] of reads.entries())
    assert.is(history.endRead(read, [value(seen[at] ?? 0)]), null);
});

test("a write that failed may show or not; at rest it neither comes nor goes", () => {
  const history = fresh();
  const first = written(history);
  const failed = history.beginWrite(BLOCK, 0);
  history.attempt(BLOCK, failed, A, 1);
  history.fail(BLOCK, failed);
  assert.not(history.isFree(BLOCK), "until the boards rest its board may still carry it out");
  for (const seen of [failed, first, failed]) assert.is(readNow(history, value(seen)), null);
  assert.is(history.counts.changes, 2);
  history.settled();
  assert.ok(history.isFree(BLOCK));
  assert.is(readNow(history, value(first)), null);
  assert.is(readNow(history, value(first)), null);
  assert.match(readNow(history, value(failed)) ?? "", /2\.0, though 1\.0 was read at rest/);
});

test("planted: an older write after a failed one and a newer one", () => {
  const history = fresh();
  const failed = history.beginWrite(BLOCK, 0);
  history.attempt(BLOCK, failed, A, 1);
  history.fail(BLOCK, failed);
  history.settled();
  const last = written(history);
  assert.is(readNow(history, value(last)), null);
  assert.match(readNow(history, value(failed)) ?? "", /1, though 2 was acknowledged/);
});

/** A write whose first attempt, by board 1, was given up, and whose second one was acknowledged. */
const resent = (history: BlockHistory, at: number): number => {
  const number = history.beginWrite(BLOCK, 0);
  history.attempt(BLOCK, number, A, 1);
  history.abandon(BLOCK, number, 0);
  history.acknowledge(BLOCK, number, history.attempt(BLOCK, number, B, at));
  return number;
};

test("planted: a fenced session writes after another board's attempt that began later", () => {
  const history = fresh();
  history.fenced("board1", 10, 20);
  const number = resent(history, 30);
  assert.is(readNow(history, value(number, 1)), null);
  assert.match(readNow(history, value(number, 0)) ?? "", /attempt 0 .* board1, which was fenced/);
});

test("a session that was fenced later, or is another one, may have written last", () => {
  const later = fresh();
  const number = resent(later, 5);
  later.fenced("board1", 10, 20);
  assert.is(readNow(later, value(number, 0)), null);
  const other = fresh();
  other.fenced("board1", 0, 20);
  assert.is(readNow(other, value(resent(other, 30), 0)), null);
});

test("copies may differ only where two boards that nobody fenced wrote at once", () => {
  const history = fresh();
  resent(history, 5);
  assert.ok(history.mayDiffer(BLOCK));
  assert.not(history.isFree(BLOCK));
  history.fenced("board1", 10, 20);
  assert.not(history.mayDiffer(BLOCK));
  history.settled();
  assert.ok(history.isFree(BLOCK));
});

test("a block passes to another owner only when its writes are flushed", () => {
  const history = fresh();
  written(history);
  assert.throws(() => history.move(BLOCK, 1), /not flushed/);
  const covered = history.beginFlush(0);
  const later = written(history);
  history.endFlush(covered);
  assert.not(history.mayMove(BLOCK), `write ${later} began after the flush`);
  history.endFlush(history.beginFlush(0));
  history.move(BLOCK, 1);
  assert.is(history.owner(BLOCK), 1);
  assert.throws(() => history.beginWrite(BLOCK, 0), /belongs to client 1/);
});

test("a block says what it is, sector by sector", () => {
  const first = encodeBlock(value(7, 1));
  assert.equal(decodeBlock(first), [value(7, 1)]);
  assert.equal(decodeBlock(Buffer.from(first)), [value(7, 1)], "a Buffer's slice is a view");
  const torn = encodeBlock(value(8, 0));
  torn.set(first.subarray(0, 512));
  assert.equal(decodeBlock(torn), [value(7, 1), value(8, 0)]);
  assert.equal(decodeBlock(new Uint8Array(4096)), [value(0)]);
  torn[600] = 1;
  assert.is(decodeBlock(torn), null);
});

test("a sector of two values is accepted of a block that was being written, and nothing else is", () => {
  const history = fresh();
  const first = written(history);
  const read = history.beginRead(BLOCK);
  const bytes = encodeBlock(value(first));
  assert.equal(history.torn(read), [], "nobody writes");
  const second = written(history);
  bytes.set(encodeBlock(value(second)).subarray(0, 600));
  assert.is(decodeBlock(bytes), null);
  const values = decodeBlock(bytes, history.torn(read));
  assert.equal(values, [value(first), value(second)].reverse());
  assert.is(history.endRead(read, values), null);
  bytes[700] = 1;
  assert.is(decodeBlock(bytes, history.torn(read)), null);
});

test.run();
