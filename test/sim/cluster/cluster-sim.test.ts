// wall-limit: 300 s
/**
 * A share of the cluster's simulation in every test run: seeds that once failed and fresh ones; and
 * that it finds what it has to find. `npm run cluster-sim` runs thousands.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DLM_LKF_CONVERT, DLM_LKF_VALBLK } from "../../../src/cluster/dlm/lock-flags.ts";
import { EX, type LockMode, NL, PR, PW } from "../../../src/cluster/dlm/lock-mode.ts";
import type { LockOperation } from "../../../src/cluster/dlm/lock-operation.ts";
import {
  type DlmLock,
  EMPTY_RESOURCE,
  type LockResource,
} from "../../../src/cluster/dlm/lock-resource.ts";
import { operate } from "../../../src/cluster/dlm/lock-transition.ts";
import { encodeLvb } from "../../../src/cluster/dlm/lvb-text.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { withTimeout } from "../../helpers/timeout.ts";
import { aloneTrace } from "./alone-story.ts";
import { runClusterStory } from "./cluster-story.ts";
import { LockChecks, openCompletion } from "./lock-checks.ts";
import { CLUSTER_FAULTS } from "./planted-faults.ts";

const LIMIT_MS = 280_000;

const test = suite("sim/cluster");

test(
  "no seed loses, shows or does what it must not",
  withTimeout(LIMIT_MS, async () => {
    await withSeeds(
      { fixed: [1, 25, 44, 1002, 5027, 5028, 5093, 5390, 5453], more: 12 },
      async (_, seed) => {
        await runClusterStory(seed);
      },
    );
  }),
);

test("I19: a board alone does the same over its own memory as over an etcd", async () => {
  const embedded = await aloneTrace("embedded", 3);
  const etcd = await aloneTrace("etcd", 3);
  assert.ok(embedded.length > 300, `${embedded.length} lines`);
  assert.ok(embedded.filter((line) => line.endsWith('step: {"ok":true}')).length >= 5);
  assert.equal(etcd, embedded);
});

test("a story is the same each time its seed is run", async () => {
  const traces: string[][] = [[], []];
  for (const trace of traces) await runClusterStory(7, { onTrace: (line) => trace.push(line) });
  assert.ok((traces[0]?.length ?? 0) > 100);
  assert.equal(traces[0], traces[1]);
});

/** What the simulation says of each planted fault, and within how many seeds it says so. */
const FINDINGS: Readonly<
  Record<keyof typeof CLUSTER_FAULTS, { readonly seeds: number; readonly says: RegExp }>
> = {
  "ack-before-process": { seeds: 3, says: /: I6: .*has not carried it out/ },
  "bit-cleared-early": { seeds: 3, says: /: (I11|I12|I14):/ },
  "range-resumed-early": { seeds: 40, says: /: (I10|I13|I14):/ },
  "stale-message": { seeds: 10, says: /: (I6: .*is told|I10:|I18: .*suspended)/ },
  "slot-reused": { seeds: 6, says: /: I8: .*nobody has recovered it/ },
  "update-unread": { seeds: 3, says: /: I6: .*metadata-updated .* has not carried it out/ },
};

for (const [name, { seeds, says }] of Object.entries(FINDINGS) as [
  keyof typeof FINDINGS,
  (typeof FINDINGS)[keyof typeof FINDINGS],
][]) {
  test(
    `finds the planted fault ${name}`,
    withTimeout(LIMIT_MS, async () => {
      for (let seed = 1; seed <= seeds; seed++) {
        const finding = await runClusterStory(seed, { planted: CLUSTER_FAULTS[name] }).then(
          () => "",
          (error: Error) => error.message,
        );
        if (says.test(finding)) return;
      }
      assert.unreachable(`not found in ${seeds} seeds`);
    }),
  );
}

// --- the checks of locks ------------------------------------------------------------------------

const lockCall = (slot: number, op: number, mode: LockMode, lvb: string | null): LockOperation => ({
  type: "lock",
  slot,
  epoch: slot,
  id: 1,
  op,
  flags: (op === 1 ? 0 : DLM_LKF_CONVERT) | (lvb === null ? 0 : DLM_LKF_VALBLK),
  lvb,
  mode,
  hasBast: false,
});

const BLOCK = encodeLvb(new Uint8Array(64).fill(1));
const OTHER = encodeLvb(new Uint8Array(64).fill(2));

/** The states that these operations make one after the other. */
const statesOf = (...operations: readonly LockOperation[]): LockResource[] => {
  const states = [EMPTY_RESOURCE];
  for (const operation of operations)
    states.push(operate(states.at(-1) ?? EMPTY_RESOURCE, operation).resource);
  return states;
};

/** What the checks say of these states one after the other. */
const saidOf = (states: readonly LockResource[], members = [1, 2]): string => {
  const said: string[] = [];
  const checks = new LockChecks(
    (invariant, what) => said.push(`${invariant}: ${what}`),
    ({ slot }) => members.includes(slot),
  );
  for (const state of states) checks.see("lock", state);
  return said.join("; ");
};

const HELD_AND_ASKED = [lockCall(1, 1, EX, BLOCK), lockCall(2, 1, PR, OTHER)];
const RELEASED = [...HELD_AND_ASKED, lockCall(1, 2, NL, BLOCK)];
const withFirst = (locks: readonly DlmLock[], change: Partial<DlmLock>): DlmLock[] =>
  locks.map((lock, at) => (at === 0 ? { ...lock, ...change } : lock));

test("the checks of locks have nothing against what the lock manager does", () => {
  const purged: LockOperation = { type: "purge", owners: [{ slot: 1, epoch: 1 }] };
  assert.is(saidOf(statesOf(...RELEASED, lockCall(1, 3, PW, BLOCK))), "");
  assert.is(saidOf(statesOf(...HELD_AND_ASKED, purged), [2]), "");
});

test("I1: locks that exclude each other", () => {
  const [, , asked = EMPTY_RESOURCE] = statesOf(...HELD_AND_ASKED);
  const both = withFirst(asked.waiting, { granted: PR, requested: null, astCount: 1 });
  const granted = [...asked.granted, ...both];
  assert.match(saidOf([asked, { ...asked, granted, waiting: [] }]), /I1: .*exclude each other/);
});

test("I2: a lock that waits for nobody", () => {
  const [, , asked = EMPTY_RESOURCE] = statesOf(...HELD_AND_ASKED);
  assert.match(saidOf([asked, { ...asked, granted: [] }]), /I2: .*waits for what can be granted/);
});

test("I3: calls that are completed twice, or never", () => {
  const states = statesOf(...RELEASED);
  const last = states.at(-1) ?? EMPTY_RESOURCE;
  const before = states.slice(0, -1);
  for (const astCount of [0, 2]) {
    const granted = last.granted.map((lock) => (lock.slot === 2 ? { ...lock, astCount } : lock));
    assert.match(saidOf([...before, { ...last, granted }]), /I3: .*completions of 2/);
  }
});

test("I3: what a node sees", () => {
  const lock = { what: "lock", text: "resync EX" };
  const ast = { what: "ast", text: "resync granted" };
  assert.is(openCompletion([ast, lock, ast]), null);
  assert.match(openCompletion([lock]) ?? "", /has no completion/);
  assert.match(openCompletion([lock, ast, ast]) ?? "", /after another ast/);
});

test("I4: value blocks that nobody wrote, and that count though their writer is gone", () => {
  const states = statesOf(...RELEASED);
  const last = states.at(-1) ?? EMPTY_RESOURCE;
  const forged = { ...last, lvb: OTHER, lvbSeq: last.lvbSeq + 1 };
  assert.match(saidOf([...states, forged]), /I4: .*written by nobody/);
  assert.match(saidOf([...states, { ...last, lvb: OTHER }]), /I4: .*another one/);
  const held = statesOf(...HELD_AND_ASKED);
  const purged: LockOperation = { type: "purge", owners: [{ slot: 1, epoch: 1 }] };
  const after = operate(held.at(-1) ?? EMPTY_RESOURCE, purged).resource;
  assert.match(saidOf([...held, { ...after, isLvbInvalid: false }], [2]), /I4: .*counts as valid/);
});

test.run();
