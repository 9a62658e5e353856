/** Which slot a node that joins may take. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { KeyValue } from "../../../../src/cluster/store/cluster-store.ts";
import { encodeMember } from "../../../../src/cluster/store/member-records.ts";
import { chooseSlot } from "../../../../src/cluster/store/slot-choice.ts";
import { StoreKeys } from "../../../../src/cluster/store/store-keys.ts";

const test = suite("slot choice");
const keys = new StoreKeys("p/");

const member = (node: string, life = node) => ({ node, boot: "b", life, address: "", protocol: 1 });

const keyOf = (key: string, value: string, modRevision: number): KeyValue => ({
  key,
  value,
  createRevision: modRevision,
  modRevision,
  version: 1,
  lease: null,
});

/** Slots in order: their states, and who is there. */
const found = (slots: readonly (readonly [string | null, string | null])[]): readonly KeyValue[] =>
  slots.flatMap(([state, node], index) => [
    ...(state === null ? [] : [keyOf(keys.slot(index + 1), state, 10 + index)]),
    ...(node === null
      ? []
      : [keyOf(keys.member(index + 1), encodeMember(member(node)), 10 + index)]),
  ]);

const choose = (slots: Parameters<typeof found>[0], node = "me", life = "now") =>
  chooseSlot(keys, found(slots), slots.length, member(node, life));

test("the lowest that is free, be its key there or not", () => {
  assert.equal(
    choose([
      ["live", "a"],
      ["free", null],
      [null, null],
    ]),
    {
      type: "free",
      slot: 2,
      revision: 11,
    },
  );
  assert.equal(choose([[null, null]]), { type: "free", slot: 1, revision: 0 });
});

test("the one that this very life has already", () => {
  const slots = [
    ["free", null],
    ["live", "me"],
  ] as const;
  assert.is(choose(slots, "me", "me").type, "free");
  assert.equal(
    chooseSlot(
      keys,
      found([
        ["live", "x"],
        ["live", "me"],
      ]),
      2,
      member("me"),
    ),
    {
      type: "free",
      slot: 2,
      revision: 11,
    },
  );
});

test("none, while each has a member", () => {
  assert.equal(
    choose([
      ["live", "a"],
      ["live", "b"],
    ]),
    { type: "full" },
  );
});

test("later, while members recover one, or this node's last life ends", () => {
  assert.equal(
    choose([
      ["live", "a"],
      ["dead 3", null],
    ]),
    { type: "wait" },
  );
  assert.equal(
    choose([
      ["live", "a"],
      ["recovering 3 by 1/4", null],
    ]),
    { type: "wait" },
  );
  assert.equal(
    choose([
      ["live", "a"],
      ["live", null],
    ]),
    { type: "wait" },
  );
  assert.equal(
    choose([
      ["live", "a"],
      ["live", "me"],
    ]),
    { type: "wait" },
  );
});

test("one that nobody is left to recover", () => {
  assert.equal(
    choose([
      ["live", null],
      ["dead 3", null],
    ]),
    { type: "adopt", slot: 1, revision: 10 },
  );
});

test("one that holds something else is as one whose last session is gone", () => {
  assert.equal(choose([["garbage", null]]), { type: "adopt", slot: 1, revision: 10 });
  assert.equal(
    choose([
      ["live", "a"],
      ["garbage", null],
    ]),
    { type: "wait" },
  );
  assert.equal(
    choose([
      ["garbage", "a"],
      ["live", "b"],
    ]),
    { type: "full" },
  );
});

test.run();
