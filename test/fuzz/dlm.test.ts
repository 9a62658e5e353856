/**
 * The DLM under random operations with all flags: no incompatible grants (I1), no grantable lock
 * left waiting (I2), one completion per accepted call (I3), a value block read is the last written
 * or reported invalid (I4), holders in the way are told, no wake-up is lost, calls made twice are
 * applied once, an owner that looks only now and then misses nothing. And each of these can fail:
 * a DLM with one broken line is caught. More operations: `npm run locks`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeResource, encodeResource } from "../../src/cluster/dlm/resource-codec.ts";
import { CodedError } from "../../src/common/errors.ts";
import { Prng } from "../../src/common/prng.ts";
import type { Break } from "../helpers/broken-copy.ts";
import { loadBrokenDlm, PRODUCT_DLM } from "../helpers/dlm-under-test.ts";
import { LockBench } from "../helpers/lock-bench.ts";
import { LockViolation } from "../helpers/lock-oracle.ts";
import { runLockSequence, SEQUENCE_STEPS } from "../helpers/lock-sequence.ts";
import { withSeeds } from "../helpers/seed.ts";

const test = suite("fuzz: dlm");

test("600 sequences of 400 operations keep every rule", async () => {
  const counts = new Map<string, number>();
  await withSeeds({ fixed: [1, 17, 239], more: 1 }, (prng) => {
    for (let sequence = 0; sequence < 150; sequence++) {
      const own = runLockSequence(PRODUCT_DLM, prng.fork(), SEQUENCE_STEPS);
      for (const [what, times] of own) counts.set(what, (counts.get(what) ?? 0) + times);
    }
  });
  for (const what of ["granted", "EAGAIN", "EDEADLK", "EUNLOCK", "ECANCEL", "BAST", "EBUSY"])
    assert.ok((counts.get(what) ?? 0) > 200, `${what}: ${counts.get(what)}`);
});

/** Each breaks one rule; `by` is what notices. */
const BREAKS: readonly (Break & { readonly name: string; readonly by: RegExp })[] = [
  {
    name: "CW beside PR",
    file: "lock-mode.ts",
    from: "0b000111, // CW",
    to: "0b001111, // CW",
    by: /I1/,
  },
  {
    name: "the granted modes of converting locks are forgotten",
    file: "grant-rule.ts",
    from: "if (isBlockedBy(converting, lock, mode)) return false; // 3",
    to: "",
    by: /I1/,
  },
  {
    name: "no scan after a down-conversion",
    file: "lock-transition.ts",
    from: 'grant(draft, lock);\n  scanQueues(draft, "scan");',
    to: "grant(draft, lock);",
    by: /I2/,
  },
  {
    name: "no scan after HEADQUE, as in the kernel",
    file: "lock-transition.ts",
    from: "(lock.flags & DLM_LKF_HEADQUE) !== 0 || (lock.statusFlags",
    to: "(lock.statusFlags",
    by: /I2/,
  },
  {
    name: "only the first of those who wait is looked at",
    file: "queue-scan.ts",
    from: "of [...draft.waiting]",
    to: "of draft.waiting.slice(0, 1)",
    by: /I2/,
  },
  {
    name: "no scan after a purge",
    file: "lock-transition.ts",
    from: 'scanQueues(draft, "recovery");',
    to: "",
    by: /I2/,
  },
  {
    name: "a cancel completes twice",
    file: "lock-transition.ts",
    from: 'complete(draft, own, "ECANCEL");',
    to: 'complete(draft, own, "ECANCEL");\n  complete(draft, own, "ECANCEL");',
    by: /ECANCEL without/,
  },
  {
    name: "EDEADLK is not told",
    file: "lock-transition.ts",
    from: 'complete(draft, own, "EDEADLK");',
    to: "",
    by: /I3/,
  },
  {
    name: "conversion deadlocks are not seen",
    file: "grant-rule.ts",
    from: "lock.granted !== null && mayWait && isDeadlocked(draft, lock, moment)",
    to: "lock.granted !== null && mayWait && isDeadlocked(draft, lock, moment) && mode < 0",
    by: /somebody waits/,
  },
  {
    name: "HEADQUE looks for deadlocks behind it, as in the kernel",
    file: "grant-rule.ts",
    from: "isFirst ? blocksMe : ",
    to: "isFirst && blocksMe && blocksOther ? true : ",
    by: /somebody waits/,
  },
  {
    name: "a read hands out the block of the time of the call",
    file: "lock-value-block.ts",
    from: "read = draft.lvb;",
    to: "read = lvb ?? draft.lvb;",
    by: /not the last/,
  },
  {
    name: "a write leaves VALNOTVALID set",
    file: "lock-value-block.ts",
    from: "draft.lvbSeq += 1;\n  draft.isLvbInvalid = false;",
    to: "draft.lvbSeq += 1;",
    by: /VALNOTVALID/,
  },
  {
    name: "a writer dies and nobody is told",
    file: "lock-transition.ts",
    from: "if (isWriter && (lock.flags & DLM_LKF_VALBLK) !== 0)",
    to: "if (isWriter && draft.lvb === null)",
    by: /VALNOTVALID/,
  },
  {
    name: "the queued request tells nobody",
    file: "lock-transition.ts",
    from: "if (lock.requested !== null) tellHolders(draft, draft.granted, lock);",
    to: "",
    by: /never told/,
  },
  {
    name: "a grant keeps the high-water mark of BASTs",
    file: "lock-draft.ts",
    from: "lock.highBast = NL;",
    to: "",
    by: /never told/,
  },
  {
    name: "a call made twice is applied twice",
    file: "lock-transition.ts",
    from: "if (lock.op < operation.op) return null;",
    to: "if (lock.op <= operation.op) return null;",
    by: /recalled/,
  },
  {
    name: "completions are not counted",
    file: "lock-draft.ts",
    from: "lock.astCount += 1;",
    to: "lock.astCount = 1;",
    by: /completions came/,
  },
  {
    name: "a BAST of before the grant hides the one after",
    file: "lock-draft.ts",
    from: "  lock.bastMode = NL;\n",
    to: "",
    by: /of before the grant/,
  },
  {
    name: "the transition writes into the old value",
    file: "lock-draft.ts",
    from: "({ ...lock })",
    to: "lock",
    by: /old value|changed/,
  },
  {
    name: "the text form drops the invalid mark",
    file: "resource-codec.ts",
    from: "i: resource.isLvbInvalid ? 1 : 0",
    to: "i: 0",
    by: /text form/,
  },
];

for (const [index, change] of BREAKS.entries()) {
  test(`caught: ${change.name}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), `dlm-${index}-`));
    try {
      const broken = await loadBrokenDlm(folder, change);
      const violation = findViolation(broken);
      assert.match(violation, change.by, violation);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

/** The first violation within 200 sequences, or a text that says there was none. */
function findViolation(dlm: typeof PRODUCT_DLM): string {
  for (let seed = 1; seed <= 200; seed++) {
    try {
      runLockSequence(dlm, new Prng(seed), SEQUENCE_STEPS);
    } catch (error) {
      if (error instanceof LockViolation || error instanceof Error) return error.message;
    }
  }
  return "no violation";
}

/** A resource with everything in it. */
function busyText(): string {
  const bench = new LockBench();
  for (const line of [
    "req a EX VALBLK",
    "cvt a PW VALBLK m1",
    "req b CR VALBLK",
    "req e CR",
    "cvt a EX VALBLK+ALTPR m2",
    "req c PR ALTCW",
    "req d EX NOBAST",
  ])
    bench.run(line);
  return encodeResource(bench.resource);
}

test("a damaged text is refused with a code, or is a resource that the rules could have made", async () => {
  const text = busyText();
  await withSeeds({ fixed: [1], more: 1 }, (prng) => {
    for (let round = 0; round < 4000; round++) {
      const damaged = damage(prng, text);
      try {
        assert.is(encodeResource(decodeResource(damaged)), damaged);
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        assert.is(error.code, "DLM_BAD_RESOURCE");
      }
    }
  });
});

/** Digits changed, parts dropped, doubled or replaced. */
function damage(prng: Prng, text: string): string {
  const at = prng.below(text.length);
  const end = at + prng.below(12);
  const fill = prng.pick([
    "",
    "9",
    "-1",
    "null",
    '"x"',
    "[]",
    "{}",
    "1e9",
    text.slice(at, end),
    ",",
  ]);
  return text.slice(0, at) + fill + text.slice(prng.pick([at, at + 1, end]));
}

test.run();
