/**
 * `npm run bench -- dlm`: operations per second of the DLM's pure core, in memory: md-cluster's
 * token, message and ack round with 1, 3 and 7 receivers, random conversions, and the text form of
 * a resource. What a store adds is not in these numbers.
 */
import * as FLAGS from "../src/cluster/dlm/lock-flags.ts";
import { CR, CW, EX, LOCK_MODES, type LockMode, NL, PR } from "../src/cluster/dlm/lock-mode.ts";
import { EMPTY_RESOURCE, type LockResource } from "../src/cluster/dlm/lock-resource.ts";
import { operate } from "../src/cluster/dlm/lock-transition.ts";
import { encodeLvb, LVB_BYTES } from "../src/cluster/dlm/lvb-text.ts";
import { decodeResource, encodeResource } from "../src/cluster/dlm/resource-codec.ts";
import { assert } from "../src/common/assert.ts";
import { Prng } from "../src/common/prng.ts";
import type { Bench, BenchContext, BenchOutcome } from "./bench.ts";
import { measureRate } from "./core-rate.ts";
import { type Figure, formatTable, OURS, type Row } from "./report.ts";

const RECEIVERS = [1, 3, 7];
const SENDER = 1;
const WRITE = FLAGS.DLM_LKF_VALBLK;
/** Does one piece of work; returns how many operations it was, always as many. */
type Job = () => number;

/** Resources in memory and one lock of every slot on each, as md-cluster keeps them. */
class MemoryLocks {
  readonly resources = new Map<string, LockResource>();
  operations = 0;

  /** New lock, or conversion. Returns the value block that was read, or null. */
  lock(name: string, slot: number, mode: LockMode, flags = 0, lvb: string | null = null) {
    this.operations += 1;
    const call = { slot, epoch: slot, id: 1, op: this.operations, flags, lvb };
    const before = this.resources.get(name) ?? EMPTY_RESOURCE;
    const step = operate(before, { type: "lock", ...call, mode, hasBast: name === "ack" });
    assert(step.result.type === "accepted", `${name} ${mode}: ${JSON.stringify(step.result)}`);
    this.resources.set(name, step.resource);
    return step;
  }

  convert(name: string, slot: number, mode: LockMode, flags = 0, lvb: string | null = null) {
    return this.lock(name, slot, mode, flags | FLAGS.DLM_LKF_CONVERT, lvb);
  }
}

/** One message from the first slot to all others, token free again at the end. */
const messageRound = (receivers: number): Job => {
  const locks = new MemoryLocks();
  const slots = Array.from({ length: receivers }, (_, index) => SENDER + 1 + index);
  for (const slot of [SENDER, ...slots]) {
    for (const name of ["token", "message", "ack"])
      locks.lock(name, slot, NL, FLAGS.DLM_LKF_EXPEDITE);
    locks.convert("ack", slot, CR);
  }
  const blocks = [1, 2].map((byte) => encodeLvb(new Uint8Array(LVB_BYTES).fill(byte)));
  let sent = 0;
  return () => {
    const before = locks.operations;
    const block = blocks[sent++ % 2] ?? "";
    locks.convert("token", SENDER, EX);
    locks.convert("message", SENDER, EX);
    locks.convert("message", SENDER, CW, WRITE, block);
    locks.convert("ack", SENDER, EX);
    let granted = false;
    for (const slot of slots) {
      const read = locks.convert("message", slot, CR, WRITE, block).notifications[0];
      assert(read?.type === "ast" && read.lvb === block, "a receiver did not read the message");
      const { notifications } = locks.convert("ack", slot, NL);
      granted = notifications.some((note) => note.lock.slot === SENDER && note.type === "ast");
      locks.convert("message", slot, PR);
    }
    assert(granted, "all receivers have acknowledged, and ack is not granted");
    locks.convert("ack", SENDER, CR);
    locks.convert("message", SENDER, NL);
    for (const slot of slots) {
      locks.convert("ack", slot, CR);
      locks.convert("message", slot, NL);
    }
    locks.convert("token", SENDER, NL);
    return locks.operations - before;
  };
};

/** Conversions of eight locks to random modes; who would wait is cancelled next time. */
const randomConversions = (): Job => {
  const prng = new Prng(1);
  let resource = EMPTY_RESOURCE;
  let op = 0;
  for (let slot = 1; slot <= 8; slot++) {
    const call = { slot, epoch: slot, id: 1, op: ++op, lvb: null, mode: NL as LockMode };
    resource = operate(resource, { type: "lock", ...call, flags: 0, hasBast: true }).resource;
  }
  return () => {
    const slot = 1 + prng.below(8);
    const key = { slot, epoch: slot, id: 1, op: ++op, lvb: null };
    const isQueued = resource.converting.some((lock) => lock.slot === slot);
    resource = isQueued
      ? operate(resource, { type: "unlock", ...key, flags: FLAGS.DLM_LKF_CANCEL }).resource
      : operate(resource, {
          type: "lock",
          ...key,
          flags: FLAGS.DLM_LKF_CONVERT,
          mode: prng.pick(LOCK_MODES),
          hasBast: true,
        }).resource;
    return 1;
  };
};

/** What a store does besides: the text of a resource that eight members have locks on. */
const textForm = (): Job => {
  const locks = new MemoryLocks();
  for (let slot = 1; slot <= 8; slot++) locks.lock("message", slot, CR);
  const text = encodeResource(locks.resources.get("message") ?? EMPTY_RESOURCE);
  return () => {
    assert(encodeResource(decodeResource(text)).length === text.length, "the text changed");
    return 1;
  };
};

interface DlmRow extends Row {
  readonly group: "core";
  readonly make: () => Job;
}

const row = (name: string, description: string, make: () => Job): DlmRow => ({
  name,
  group: "core",
  description,
  unit: "operations/s",
  make,
});

const ROWS: readonly DlmRow[] = [
  ...RECEIVERS.map((count) =>
    row(`message.${count}`, `message round, ${count} receivers`, () => messageRound(count)),
  ),
  row("random", "random conversions of 8 locks", randomConversions),
  row("text", "text of a resource with 8 locks decoded and encoded", textForm),
];

const runDlm = async ({ settings, say }: BenchContext): Promise<BenchOutcome> => {
  const rows = ROWS.filter(({ name }) => settings.workloads.includes(name));
  const figures: Figure[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    for (const { name, make } of rows) {
      const run = make();
      // Every piece of one job is as many operations as the first.
      const value = measureRate(settings.seconds, run(), run);
      figures.push({ row: name, subject: OURS, round, value });
      say(`round ${round + 1}/${settings.rounds} ${name} ${value.toFixed(0)} operations/s`);
    }
  }
  const title = "The DLM's pure core, in memory; median (min-max):";
  return {
    tables: [{ id: "dlm", title, markdown: formatTable(figures, rows, [OURS], []) }],
    results: figures,
  };
};

export const DLM_BENCH: Bench = {
  name: "dlm",
  summary: "the lock manager's pure core: operations per second",
  workloads: ROWS,
  targets: [],
  tables: ["dlm"],
  space: () => 0,
  tools: () => [],
  defaults: { seconds: 1, rounds: 5, sizeMib: 1, workloads: ["all"], targets: [] },
  run: runDlm,
};
