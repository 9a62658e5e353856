import { test } from "uvu";
import * as assert from "uvu/assert";
import { type OwnSession, OwnSessions } from "../../../src/workers/own-sessions.ts";

const session = (epoch: number, slot = 1): OwnSession => ({ uuid: "u", slot, epoch });

const make = () => {
  const drained: string[] = [];
  const own = new OwnSessions(({ slot, epoch }) => drained.push(`${slot}:${epoch}`));
  return { own, drained };
};

test("a fence of a session that no thread has is drained at once", () => {
  const { own, drained } = make();
  own.fence(session(7));
  assert.equal(drained, ["1:7"]);
});

test("a fence waits for the thread that has the session, or an older one of the slot", () => {
  const { own, drained } = make();
  const mine = session(5);
  assert.ok(own.begin(mine));
  own.fence(session(7));
  assert.equal(drained, []);
  own.end(mine);
  assert.equal(drained, ["1:7"]);
});

test("sessions of other slots, and later ones, are not waited for", () => {
  const { own, drained } = make();
  assert.ok(own.begin(session(5, 2)));
  assert.ok(own.begin(session(9)));
  own.fence(session(7));
  assert.equal(drained, ["1:7"]);
});

test("a thread that tells of its session after its fence may not begin", () => {
  const { own, drained } = make();
  own.fence(session(7));
  assert.not(own.begin(session(7)));
  assert.not(own.begin(session(5)));
  assert.ok(own.begin(session(8)));
  assert.equal(drained, ["1:7"]);
});

test("the newest fence is told when several came while the session was in use", () => {
  const { own, drained } = make();
  const mine = session(5);
  own.begin(mine);
  own.fence(session(6));
  own.fence(session(9));
  own.end(mine);
  assert.equal(drained, ["1:9"]);
});

test.run();
