/** What locks over a cluster store do, whatever store it is. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DLM_LKF_CONVERT, DLM_LKF_VALBLK } from "../../src/cluster/dlm/lock-flags.ts";
import { CR, EX, NL, PR } from "../../src/cluster/dlm/lock-mode.ts";
import { MONOTONIC_CLOCK } from "../../src/cluster/store/monotonic-clock-driver.ts";
import { StoreKeys } from "../../src/cluster/store/store-keys.ts";
import { block, LockMember, lockCall, numberIn } from "../helpers/lock-member.ts";
import { skipUnless } from "../helpers/skip.ts";
import { withTimeout } from "../helpers/timeout.ts";
import type { StoreSuiteOptions, Suite } from "./cluster-store.ts";
import { get, put, type StoreFactory, type StoreSubject, write } from "./cluster-store-subject.ts";

const LIMIT_MS = 30_000;

interface LockSubject extends StoreSubject {
  readonly keys: StoreKeys;
  readonly join: (node: string) => Promise<LockMember>;
}

type OnLocks = (title: string, body: (subject: LockSubject) => Promise<void>) => void;

const addLocking = (on: OnLocks): void => {
  on("gives a lock from one member to the next, with its value block", async ({ join }) => {
    const [a, b] = [await join("a"), await join("b")];
    assert.equal([a.slot, b.slot], [1, 2]);
    await a.lock("r", EX, { flags: DLM_LKF_VALBLK, lvb: block(0) });
    const waiting = b.lock("r", PR, { flags: DLM_LKF_VALBLK, lvb: block(0) });
    await a.until(() => a.log.includes(`r: BAST ${PR}`));
    assert.equal(b.log, []);
    const down = await a.lock("r", CR, {
      flags: DLM_LKF_CONVERT | DLM_LKF_VALBLK,
      lvb: block(77),
    });
    assert.equal([down.status, down.mode], ["granted", CR]);
    assert.is((await waiting).lvb, block(77));
    assert.is((await b.unlock("r")).status, "EUNLOCK");
    assert.equal(b.log, ["r: AST granted", "r: AST EUNLOCK"]);
  });

  on("lets one at a time in, and loses no value block", async ({ join }) => {
    const members = await Promise.all(["a", "b", "c"].map(join));
    const rounds = 8;
    const work = async (member: LockMember): Promise<void> => {
      const flags = DLM_LKF_CONVERT | DLM_LKF_VALBLK;
      await member.lock("n", NL);
      for (let round = 0; round < rounds; round += 1) {
        const { lvb } = await member.lock("n", EX, { flags, lvb: block(0) });
        const next = block(numberIn(lvb) + 1);
        await member.lock("n", NL, { flags, lvb: next });
      }
    };
    await Promise.all(members.map(work));
    const [member] = members;
    const read = await member?.lock("n", CR, {
      flags: DLM_LKF_CONVERT | DLM_LKF_VALBLK,
      lvb: block(0),
    });
    assert.is(read?.lvb, block(3 * rounds));
  });

  on("refuses what the DLM refuses, by what the store holds", async ({ join }) => {
    const a = await join("a");
    const result = await a.returned("r", { type: "unlock", id: 9, flags: 0, lvb: null });
    assert.equal(result, { type: "refused", errno: "ENOENT", why: "no such lock" });
    const named = await a.returned("x".repeat(65), lockCall(NL));
    assert.is(named.type === "refused" && named.errno, "ENOMEM");
    for (const name of ["a/b", "..", "%2f", "ä 😀", "\n"])
      assert.is((await a.lock(name, NL)).status, "granted");
  });
};

const addMembership = (on: OnLocks): void => {
  on("changes nothing for a member whose key is gone, and tells it", async (subject) => {
    const { join, store, keys } = subject;
    const a = await join("a");
    await a.lock("r", EX);
    const before = await get(store, keys.lock("r"));
    await write(store, { type: "delete", key: keys.member(a.slot) });
    const result = await a.returned("r", { type: "unlock", id: 1, flags: 0, lvb: null });
    assert.is(result.type, "refused");
    assert.ok(a.isExpelled);
    assert.equal(await get(store, keys.lock("r")), before);
  });

  on(
    "keeps a dead member's locks until they are purged, and its slot until it is freed",
    async ({ join, store }) => {
      const [a, b] = [await join("a"), await join("b")];
      await a.lock("r", EX);
      await a.lock("r", EX, { flags: DLM_LKF_CONVERT | DLM_LKF_VALBLK, lvb: block(1) });
      const gone = a.session.session;
      a.die();
      assert.is(await b.session.declareDead(gone), null, "it is a member still");
      const waiting = b.lock("r", CR, { flags: DLM_LKF_VALBLK, lvb: block(0) });
      await store.leaseRevoke(a.session.lease);
      const c = await join("c");
      assert.is(c.slot, 3, "the slot is not free before it is recovered");
      assert.equal(await b.session.declareDead(gone), [{ resource: "r", owner: gone }]);
      assert.equal(
        await c.session.declareDead(gone),
        [{ resource: "r", owner: gone }],
        "done again by another survivor",
      );
      assert.equal(b.log, []);
      await b.locks.purge("r", [gone]);
      assert.is((await waiting).statusFlags, 2, "VALNOTVALID");
      assert.is(await b.session.beginRecovery(gone.slot), true);
      assert.is(await c.session.beginRecovery(gone.slot), false, "b recovers it");
      const dead = b.session.session;
      b.die();
      await store.leaseRevoke(b.session.lease);
      assert.is(await c.session.beginRecovery(gone.slot), true, "b died over it");
      assert.is(await c.session.freeSlot(gone.slot, dead.epoch), false, "not that session");
      assert.is(await c.session.freeSlot(gone.slot, gone.epoch), true);
      const d = await join("d");
      assert.is(d.slot, gone.slot);
      assert.ok(d.session.session.epoch > gone.epoch);
    },
  );

  on("frees the slot of who leaves", async ({ join }) => {
    const [a, b] = [await join("a"), await join("b")];
    assert.is((await a.session.leave(true)).type, "committed");
    assert.is((await b.session.leave(false)).type, "committed");
    const [c, d] = [await join("c"), await join("d")];
    assert.equal([c.slot, d.slot], [1, 3], "a dirty slot waits for recovery");
  });
};

const addHostility = (on: OnLocks): void => {
  on("waits with a resource whose key holds something else, and with no other", async (subject) => {
    const { join, store, keys } = subject;
    const a = await join("a");
    const hostile = ["", "{", '{"v":1}', "\0".repeat(65_536), '{"v":1,"g":[[1]]}'];
    for (const [at, value] of hostile.entries()) {
      await write(store, put(keys.lock(`bad${at}`), value));
      const call = a.lock(`bad${at}`, EX);
      await a.until(() => a.damaged.includes(`bad${at}`));
      assert.is((await a.lock(`good${at}`, EX)).status, "granted");
      assert.is((await get(store, keys.lock(`bad${at}`)))?.value, value, "nothing is overwritten");
      await write(store, { type: "delete", key: keys.lock(`bad${at}`) });
      assert.is((await call).status, "granted");
    }
  });

  on("goes on beside keys that nobody of us wrote", async ({ join, store, keys }) => {
    for (const key of ["%", "%zz", "%C3", "a/b/c"]) await write(store, put(keys.locks + key, "x"));
    await write(store, put(keys.slot(1), "mine, I say"));
    const a = await join("a");
    assert.is(a.slot, 2);
    assert.is((await a.lock("r", EX)).status, "granted");
  });
};

export const clusterLocksSuite = (
  name: string,
  factory: StoreFactory,
  options: StoreSuiteOptions = {},
): Suite => {
  const test = suite(name);
  const add = skipUnless(options.tools ?? [], test);
  const on: OnLocks = (title, body) =>
    add(
      title,
      withTimeout(LIMIT_MS, async () => {
        const subject = await factory();
        const { prefix, store, other } = subject;
        const members: LockMember[] = [];
        const join = async (node: string): Promise<LockMember> => {
          const on = members.length % 2 === 0 ? store : other;
          const random = Math.random;
          const clock = MONOTONIC_CLOCK;
          const member = await LockMember.join({ store: on, prefix, node, clock, random });
          members.push(member);
          return member;
        };
        try {
          await body({ ...subject, keys: new StoreKeys(prefix), join });
        } finally {
          for (const member of members) member.die();
          await subject.dispose();
        }
      }),
    );
  for (const part of [addLocking, addMembership, addHostility]) part(on);
  if (options.after !== undefined) test.after(options.after);
  return test;
};
