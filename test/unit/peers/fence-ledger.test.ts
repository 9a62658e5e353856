/** The fence of an exporter: who is served, what is refused, and when an end is acknowledged. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FenceLedger, type LedgerEffect } from "../../../src/peers/fence-ledger.ts";
import type { MemberName, PeerSession } from "../../../src/peers/member-name.ts";

const test = suite("fence ledger");
const UUID = "aaaaaaaa-0000";
const LIFE = 100;

const node = (slot: number, epoch: number): PeerSession => ({
  kind: "node",
  uuid: UUID,
  slot,
  epoch,
});
const board = (name: string, epoch: number): PeerSession => ({ kind: "board", name, epoch });

/** A ledger of board2 that lives; board1 has slot 1 since 110, board3 slot 3 since 130. */
class Bench {
  readonly ledger: FenceLedger;
  readonly #effects: LedgerEffect[] = [];
  #next = 1;

  constructor(ledger = new FenceLedger("board2", 8)) {
    this.ledger = ledger;
    this.joins(1, 110, "board1");
    this.joins(3, 130, "board3");
    this.ledger.boardKey("board1", 50);
    this.ledger.boardKey("board3", 60);
    this.ledger.known(200);
    this.ledger.beginLife(LIFE);
    this.ledger.openGate(1000);
    this.effects();
  }

  joins(slot: number, epoch: number, name: string): void {
    this.ledger.member(UUID, slot, { epoch, node: name }, epoch);
    this.ledger.slotKey(UUID, slot, epoch);
    this.ledger.known(epoch);
    this.ledger.settle();
  }

  goes(slot: number, revision: number): void {
    this.ledger.member(UUID, slot, null, revision);
    this.ledger.known(revision);
    this.ledger.settle();
  }

  ask(session: PeerSession, changes: Partial<MemberName> = {}, peer = peerOf(session)): number {
    const connection = this.#next;
    this.#next += 1;
    const name: MemberName = {
      disk: "disk1",
      mode: "write",
      session,
      life: LIFE,
      handle: `${peer}.boot.array.1`,
      connection: 0,
      ...changes,
    };
    this.ledger.ask({ connection, name, peer });
    return connection;
  }

  /** Everything that happened since the last look, as short words. */
  effects(): readonly string[] {
    this.#effects.push(...this.ledger.take());
    return this.#effects.splice(0).map(wordOf);
  }

  /** A connection that is served. */
  served(session: PeerSession, changes: Partial<MemberName> = {}): number {
    const connection = this.ask(session, changes);
    assert.equal(this.effects(), [`admit ${connection}`]);
    return connection;
  }

  begin(connection: number, now = 0): string {
    return this.ledger.begin(connection, now);
  }
}

const peerOf = (session: PeerSession): string =>
  session.kind === "board" ? session.name : `board${session.slot}`;

const wordOf = (effect: LedgerEffect): string => {
  switch (effect.type) {
    case "admit":
    case "close":
      return `${effect.type} ${effect.connection}`;
    case "refuse":
      return `refuse ${effect.connection}: ${effect.refusal.word}`;
    default:
      return `${effect.type} ${effect.slot}/${effect.epoch}`;
  }
};

const done = (bench: Bench, slot: number, epoch: number, revision: number | null = 500): void =>
  bench.ledger.acknowledged({ uuid: UUID, slot, epoch }, LIFE, revision);

test("a session that its board asks for is served", () => {
  const bench = new Bench();
  const one = bench.served(node(1, 110));
  const other = bench.served(board("board1", 50), { disk: "disk2", mode: "read" });
  assert.is(bench.begin(one), "go");
  assert.is(bench.begin(other), "go");
});

test("refused: another life, another board's session, one that is over", () => {
  const bench = new Bench();
  bench.ask(node(1, 110), { life: LIFE - 1 });
  bench.ask(node(1, 110), {}, "board3");
  bench.ask(node(1, 109));
  bench.ask(node(2, 120));
  bench.ask(board("board1", 49));
  bench.ask(board("board1", 50), {}, "board3");
  const words = ["restarted", "stranger", "fenced", "fenced", "fenced", "stranger"];
  assert.equal(
    bench.effects(),
    words.map((word, at) => `refuse ${at + 1}: ${word}`),
  );
});

test("a session that no key tells of yet is waited for, and the keys are looked at", () => {
  const bench = new Bench();
  assert.is(bench.ledger.isLooking, false);
  const early = bench.ask(node(2, 210), {}, "board2");
  assert.equal(bench.effects(), []);
  assert.is(bench.ledger.isLooking, true);
  bench.joins(2, 210, "board2");
  assert.equal(bench.effects(), [`admit ${early}`]);
  const never = bench.ask(node(4, 300), {}, "board4");
  bench.ledger.known(300);
  bench.ledger.settle();
  assert.equal(bench.effects(), [`refuse ${never}: fenced`]);
});

test("nobody is served before the board lives; who asks waits until then", () => {
  const bench = new Bench();
  bench.ledger.endLife("out");
  const early = bench.ask(node(1, 110), { life: 250 });
  assert.equal(bench.effects(), []);
  bench.ledger.beginLife(250);
  assert.equal(bench.effects(), [`admit ${early}`]);
  assert.is(bench.begin(early), "wait", "until it is confirmed");
  bench.ledger.openGate(10);
  assert.is(bench.begin(early), "go");
});

test("behind a closed gate requests wait; those of a session that is over never begin", () => {
  const bench = new Bench();
  const one = bench.served(node(1, 110));
  assert.is(bench.begin(one, 999), "go");
  assert.is(bench.begin(one, 1000), "wait");
  bench.goes(1, 300);
  assert.is(bench.begin(one, 1000), "never");
});

test("the end of a session is acknowledged when its requests have ended, not before", () => {
  const bench = new Bench();
  const one = bench.served(node(1, 110));
  const two = bench.served(node(1, 110), { disk: "disk2", handle: "board1.boot.io.1" });
  bench.begin(one);
  bench.begin(two);
  bench.begin(two);
  bench.goes(1, 300);
  assert.equal(bench.effects(), [`close ${one}`, `close ${two}`]);
  bench.ledger.end(one);
  bench.ledger.end(two);
  assert.equal(bench.effects(), []);
  assert.equal(bench.ledger.draining, ["disk2"]);
  assert.equal(bench.ledger.unacknowledged, [{ uuid: UUID, slot: 1, epoch: 300 }]);
  bench.ledger.end(two);
  assert.equal(bench.effects(), ["acknowledge 1/300"]);
  done(bench, 1, 300);
  assert.equal(bench.ledger.unacknowledged, []);
  assert.equal(bench.effects(), [], "once");
});

test("an array that nobody asked for is acknowledged too", () => {
  const bench = new Bench();
  bench.ledger.member("bbbbbbbb-0000", 4, { epoch: 150, node: "board1" }, 150);
  bench.ledger.slotKey("bbbbbbbb-0000", 4, 150);
  bench.ledger.member("bbbbbbbb-0000", 4, null, 310);
  bench.ledger.settle();
  assert.equal(bench.effects(), ["acknowledge 4/310"]);
});

test("the board's own use of its disks is ended before the end of its session is acknowledged", () => {
  const bench = new Bench();
  bench.joins(2, 210, "board2");
  bench.goes(2, 300);
  assert.equal(bench.effects(), ["own-fenced 2/300"]);
  bench.ledger.ownDrained(UUID, 2, 299);
  assert.equal(bench.effects(), []);
  bench.ledger.ownDrained(UUID, 2, 300);
  assert.equal(bench.effects(), ["acknowledge 2/300"]);
});

test("a session whose board nobody knows may be the board's own", () => {
  const bench = new Bench();
  bench.ledger.slotKey(UUID, 5, 220);
  bench.ledger.settle();
  assert.equal(bench.effects(), ["own-fenced 5/220"]);
  // The slot's key was written after board1 had taken it: perhaps by another session.
  bench.ledger.slotKey(UUID, 1, 280);
  bench.goes(1, 300);
  assert.equal(bench.effects(), ["own-fenced 1/300"]);
});

test("who begins gets no disk that a running node has not met in this life of the board", () => {
  const bench = new Bench();
  bench.ledger.entered(UUID, 1, 110);
  const one = bench.ask(node(3, 130));
  assert.equal(bench.effects(), [], "node 1 may have written what this life has lost");
  bench.ask(node(3, 130), { disk: "disk2", mode: "read" });
  assert.equal(bench.effects(), ["admit 2"], "who only looks on may");
  const met = bench.served(node(1, 110), { disk: "disk2" });
  assert.equal(bench.effects(), [], "another disk proves nothing");
  bench.ask(node(1, 110), { handle: "board1.boot.io.1" });
  assert.equal(bench.effects(), ["admit 4", `admit ${one}`]);
  assert.is(met, 3);
  bench.ledger.entered(UUID, 3, 130);
  bench.goes(1, 300);
  bench.effects();
  bench.served(node(3, 130), { disk: "disk3" });
});

test("a node of the board itself asks the same, and one of an earlier start has not met it", () => {
  const bench = new Bench(new FenceLedger("board2", 8, "boot2"));
  const me = { kind: "node", uuid: UUID, slot: 2, epoch: 210 } as const;
  assert.is(bench.ledger.isTrusted(me, "disk1"), false, "no key tells of it");
  bench.joins(2, 210, "board2");
  assert.ok(bench.ledger.isTrusted(me, "disk1"));
  bench.ledger.member(UUID, 4, { epoch: 220, node: "board2", boot: "boot1" }, 220);
  bench.ledger.entered(UUID, 4, 220);
  assert.is(bench.ledger.isTrusted(me, "disk1"), false);
  bench.ledger.member(UUID, 4, { epoch: 220, node: "board2", boot: "boot2" }, 221);
  assert.ok(bench.ledger.isTrusted(me, "disk1"));
  bench.ledger.endLife("expelled");
  assert.is(bench.ledger.isTrusted(me, "disk1"), false);
});

test("a member whose key was overwritten is still known to be another board's", () => {
  const bench = new Bench();
  bench.ledger.member(UUID, 1, { epoch: 110, node: null }, 250);
  const one = bench.served(node(1, 110));
  bench.goes(1, 300);
  assert.equal(bench.effects(), [`close ${one}`, "acknowledge 1/300"]);
});

test("acknowledged again: the slot's key was written later, or the store has less", () => {
  const bench = new Bench();
  bench.goes(1, 300);
  assert.equal(bench.effects(), ["acknowledge 1/300"]);
  bench.ledger.slotKey(UUID, 1, 310);
  bench.ledger.settle();
  assert.equal(bench.effects(), [], "one at a time");
  done(bench, 1, 300, 311);
  assert.equal(bench.effects(), ["own-fenced 1/310"]);
  bench.ledger.ownDrained(UUID, 1, 310);
  assert.equal(bench.effects(), ["acknowledge 1/310"]);
  done(bench, 1, 310, 320);
  bench.ledger.fenceKey(UUID, 1, 300, 311);
  bench.ledger.settle();
  assert.equal(bench.effects(), [], "an old sight");
  bench.ledger.fenceKey(UUID, 1, 300, 321);
  bench.ledger.settle();
  assert.equal(bench.effects(), ["acknowledge 1/310"]);
  done(bench, 1, 310, null);
  assert.equal(bench.effects(), ["acknowledge 1/310"], "it was not written");
});

test("another life acknowledges all of it anew, and no answer of an earlier one counts", () => {
  const bench = new Bench();
  bench.goes(1, 300);
  bench.effects();
  bench.ledger.endLife("out");
  bench.ledger.acknowledged({ uuid: UUID, slot: 1, epoch: 300 }, LIFE, 305);
  bench.ledger.fenceKey(UUID, 1, 300, 305);
  bench.ledger.beginLife(400);
  assert.equal(bench.effects(), ["acknowledge 1/300"]);
  bench.ledger.fenceKey(UUID, 1, 300, 305);
  bench.ledger.acknowledged({ uuid: UUID, slot: 1, epoch: 300 }, LIFE, 405);
  assert.equal(bench.ledger.unacknowledged.length, 1);
});

test("when the life is over nothing begins, and a request that hangs is remembered", () => {
  const bench = new Bench();
  const one = bench.served(node(1, 110));
  const asking = bench.ask(node(9, 900), {}, "board9");
  bench.begin(one);
  bench.ledger.endLife("out");
  assert.equal(bench.effects(), [`close ${one}`, `refuse ${asking}: restarted`]);
  assert.is(bench.begin(one), "never");
  bench.ledger.beginLife(250);
  bench.ledger.openGate(1000);
  assert.is(bench.begin(one), "never");
  const again = bench.ask(node(1, 110), { life: 250, handle: "board1.boot.array.2" });
  assert.equal(bench.effects(), [], "it may still write");
  const reads = bench.served(node(3, 130), { life: 250, mode: "read" });
  assert.is(bench.begin(reads), "go");
  bench.ledger.end(one);
  assert.equal(bench.effects(), [`admit ${again}`]);
});

test("a connection that comes again waits for the requests of the one that it replaces", () => {
  const bench = new Bench();
  const one = bench.served(node(1, 110));
  const beside = bench.served(node(1, 110), { connection: 1 });
  bench.begin(one);
  bench.begin(beside);
  const again = bench.ask(node(1, 110));
  assert.equal(bench.effects(), [`close ${one}`]);
  assert.is(bench.begin(one), "never");
  bench.ledger.end(one);
  assert.equal(bench.effects(), [`admit ${again}`]);
  assert.is(bench.begin(beside), "go", "the other connection goes on");
});

test("a reader that comes again waits for its own requests only", () => {
  const bench = new Bench();
  const one = bench.served(node(1, 110), { mode: "read" });
  bench.begin(one);
  const again = bench.ask(node(1, 110), { mode: "read" });
  assert.equal(bench.effects(), [`close ${one}`]);
  bench.served(node(3, 130), { mode: "read" });
  bench.ledger.end(one);
  assert.equal(bench.effects(), [`admit ${again}`]);
});

test("of asks for the same connection the last one counts", () => {
  const bench = new Bench();
  const one = bench.served(node(1, 110));
  bench.begin(one);
  const second = bench.ask(node(1, 110));
  const third = bench.ask(node(1, 110));
  assert.equal(bench.effects(), [`close ${one}`, `refuse ${second}: superseded`]);
  bench.ledger.end(one);
  assert.equal(bench.effects(), [`admit ${third}`]);
});

test("a later writing handle of a thread takes the place of the earlier one, never the reverse", () => {
  const bench = new Bench();
  const one = bench.served(node(1, 110), { handle: "board1.boot.io.3" });
  const other = bench.served(node(1, 110), { handle: "board1.boot.io-2.1" });
  bench.begin(one);
  const later = bench.ask(node(1, 110), { handle: "board1.boot.io.10", connection: 1 });
  assert.equal(bench.effects(), [`close ${one}`]);
  const stale = bench.ask(node(1, 110), { handle: "board1.boot.io.9" });
  assert.equal(bench.effects(), [`refuse ${stale}: superseded`]);
  bench.ledger.end(one);
  assert.equal(bench.effects(), [`admit ${later}`]);
  assert.is(bench.begin(other), "go");
  bench.ledger.ended(later);
  const late = bench.ask(node(1, 110), { handle: "board1.boot.io.9" });
  assert.equal(bench.effects(), [`refuse ${late}: superseded`], "though no later one is left");
});

test("nobody new writes where a fenced session still may; who does already goes on", () => {
  const bench = new Bench();
  const writes = bench.served(node(3, 130));
  const fenced = bench.served(node(1, 110));
  bench.begin(fenced);
  bench.goes(1, 300);
  assert.equal(bench.effects(), [`close ${fenced}`]);
  bench.joins(4, 310, "board4");
  const new4 = bench.ask(node(4, 310));
  assert.equal(bench.effects(), []);
  assert.is(bench.begin(writes), "go");
  const elsewhere = bench.served(node(4, 310), { disk: "disk2" });
  assert.is(bench.begin(elsewhere), "go");
  bench.ledger.end(fenced);
  assert.equal(bench.effects(), [`admit ${new4}`, "acknowledge 1/300"]);
});

test("nothing begins for who hung up, and nobody new writes beside what it left at the disk", () => {
  const bench = new Bench();
  const one = bench.served(node(1, 110));
  bench.begin(one);
  bench.ledger.gone(one);
  assert.is(bench.begin(one), "never");
  const other = bench.ask(node(3, 130));
  assert.equal(bench.effects(), []);
  bench.ledger.end(one);
  assert.equal(bench.effects(), [`admit ${other}`]);
  bench.ledger.ended(one);
});

test("a board makes an array on a disk that nobody else uses", () => {
  const bench = new Bench();
  const looks = bench.served(board("board3", 60), { mode: "read" });
  const makes = bench.served(board("board1", 50));
  const runs = bench.ask(node(3, 130), { mode: "read" });
  const other = bench.ask(board("board3", 60), { handle: "board3.boot.main.2" });
  assert.equal(bench.effects(), []);
  bench.ledger.ended(makes);
  assert.equal(bench.effects(), [`admit ${runs}`]);
  bench.ledger.giveUp(other);
  assert.equal(bench.effects(), [`refuse ${other}: busy`]);
  assert.is(bench.begin(looks), "go");
});

test("a peer has so many connections and no more; a disk that is taken away has none", () => {
  const bench = new Bench();
  for (let number = 0; number < 8; number += 1) bench.served(node(1, 110), { connection: number });
  const more = bench.ask(node(1, 110), { connection: 9 });
  assert.equal(bench.effects(), [`refuse ${more}: busy`]);
  const other = bench.served(node(3, 130));
  const waits = bench.ask(node(9, 900), {}, "board9");
  bench.ledger.closeDisk("disk1");
  const closed = [1, 2, 3, 4, 5, 6, 7, 8, other].map((one) => `close ${one}`);
  assert.equal(bench.effects(), [...closed, `refuse ${waits}: no-disk`]);
});

test.run();
