/** A change of the array waits a while for nodes that have no rest. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CommandOutcome } from "../../../src/raid/array-messages.ts";
import { askPatiently } from "../../../src/workers/patient-ask.ts";

const test = suite("workers/patient-ask");

const BUSY = {
  ok: false,
  code: "CLUSTER_NODE_BUSY",
  message: "node 2 (b) cannot come to rest just now",
} as const;

/** Answers come in order, the last one for ever; time passes with pauses only. */
const asking = async (...answers: readonly CommandOutcome[]) => {
  const clock = { time: 0, asked: 0 };
  const outcome = await askPatiently(
    async () => answers[Math.min(clock.asked++, answers.length - 1)] ?? BUSY,
    {
      now: () => clock.time,
      pause: async (ms) => {
        clock.time += ms;
      },
    },
  );
  return { outcome, ...clock };
};

test("it asks again while a node is busy, soon at first", async () => {
  const { outcome, time, asked } = await asking(BUSY, BUSY, { ok: true });
  assert.equal([outcome, asked, time], [{ ok: true }, 3, 750]);
});

test("after 30 s the refusal names the node that it waited for", async () => {
  const { outcome, time, asked } = await asking(BUSY);
  assert.is(outcome.ok ? "" : outcome.code, "CLUSTER_NODE_BUSY");
  assert.match(outcome.ok ? "" : outcome.message, /^node 2 \(b\) cannot .* \(waited \d\d s\)$/);
  assert.ok(time > 20_000 && time <= 30_000, `${time} ms`);
  assert.ok(asked <= 12, "those who rest in vain are not troubled all the time");
});

test("any other refusal is told at once", async () => {
  const refused = { ok: false, code: "RAID_ARRAY_STOPPING", message: "it stops" } as const;
  assert.equal((await asking(refused)).time, 0);
  assert.equal((await asking(BUSY, refused)).outcome, refused);
});

test.run();
