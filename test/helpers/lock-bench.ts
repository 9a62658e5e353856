/**
 * Lock stories as text, for tests of the DLM: one line per operation, with what it must cause.
 *
 *     req a EX VALBLK m1 -> AST a ok EX lvb=m1
 *     req b CR           -> BAST a(CR)
 *
 * `req ID MODE [FLAGS] [lvb]` a new lock, `cvt` the same with CONVERT, `unl ID [FLAGS] [lvb]`,
 * `can ID` cancel, `die ID[,ID]` purge of those locks' owners, `show` the queues, `lvb` the value
 * block. FLAGS are DLM_LKF_ names joined by +, or -; NOBAST leaves the BAST routine out. Every lock
 * has an owner of its own and a buffer, which is shown as `lvb=` once it holds something; sb: 1
 * DEMOTED, 2 VALNOTVALID, 4 ALTMODE. Nothing is `-`, a refused call its error number.
 */
import * as assert from "uvu/assert";
import * as FLAGS from "../../src/cluster/dlm/lock-flags.ts";
import { LOCK_MODES, type LockMode, MODE_NAMES } from "../../src/cluster/dlm/lock-mode.ts";
import type { LockNotification, LockOperation } from "../../src/cluster/dlm/lock-operation.ts";
import {
  type DlmLock,
  EMPTY_RESOURCE,
  type LockKey,
  type LockResource,
} from "../../src/cluster/dlm/lock-resource.ts";
import { operate } from "../../src/cluster/dlm/lock-transition.ts";
import { decodeLvb, encodeLvb, LVB_BYTES } from "../../src/cluster/dlm/lvb-text.ts";

interface NamedLock {
  readonly key: LockKey;
  /** The owner's buffer; empty: nothing was put into it. */
  buffer: string;
}

export const lvbOf = (text: string): string => {
  const bytes = new Uint8Array(LVB_BYTES);
  new TextEncoder().encodeInto(text, bytes);
  return encodeLvb(bytes);
};

const textOf = (lvb: string): string =>
  new TextDecoder().decode(decodeLvb(lvb)).replace(/\0+$/, "");

export const modeNamed = (name: string | undefined): LockMode => {
  const mode = LOCK_MODES[MODE_NAMES.indexOf(name ?? "")];
  assert.ok(mode !== undefined, `no mode ${name}`);
  return mode as LockMode;
};

const flagNamed = (name: string): number => {
  const value = new Map<string, unknown>(Object.entries(FLAGS)).get(`DLM_LKF_${name}`);
  assert.ok(typeof value === "number", `no flag ${name}`);
  return value as number;
};

export class LockBench {
  resource: LockResource = EMPTY_RESOURCE;
  readonly #locks = new Map<string, NamedLock>();
  #op = 0;

  /** Runs one line without its expectation; returns what it caused. */
  run(line: string): string {
    const [verb = "", id = "", ...rest] = line.trim().split(/\s+/);
    if (verb === "show") return this.#show();
    if (verb === "lvb") return this.#showLvb();
    const { result, notifications } = this.#apply(this.#parse(verb, id, rest));
    if (result.type === "refused") return result.errno;
    return notifications.map((note) => this.#tell(note)).join(", ") || "-";
  }

  lock(id: string): NamedLock {
    let lock = this.#locks.get(id);
    if (lock === undefined) lock = this.#name(id);
    return lock;
  }

  #name(id: string): NamedLock {
    const slot = this.#locks.size + 1;
    const lock = { key: { slot, epoch: 100 + slot, id: 1 }, buffer: "" };
    this.#locks.set(id, lock);
    return lock;
  }

  #apply(operation: LockOperation) {
    const step = operate(this.resource, operation);
    this.resource = step.resource;
    return step;
  }

  #parse(verb: string, id: string, rest: readonly string[]): LockOperation {
    if (verb === "die") {
      return { type: "purge", owners: id.split(",").map((name) => this.lock(name).key) };
    }
    const lock = this.lock(id);
    const isLockCall = verb === "req" || verb === "cvt";
    const [names = "-", text] = isLockCall ? rest.slice(1) : rest;
    const words = names === "-" ? [] : names.split("+");
    let flags = 0;
    for (const word of words) if (word !== "NOBAST") flags |= flagNamed(word);
    if (verb === "cvt") flags |= FLAGS.DLM_LKF_CONVERT;
    if (verb === "can") flags |= FLAGS.DLM_LKF_CANCEL;
    if (text !== undefined) lock.buffer = text;
    const moves = (flags & FLAGS.DLM_LKF_VALBLK) !== 0;
    this.#op += 1;
    const call = { ...lock.key, op: this.#op, flags, lvb: moves ? lvbOf(lock.buffer) : null };
    if (!isLockCall) return { type: "unlock", ...call };
    const hasBast = !words.includes("NOBAST");
    return { type: "lock", ...call, mode: modeNamed(rest[0]), hasBast };
  }

  #tell(note: LockNotification): string {
    const [id = "?", lock] =
      [...this.#locks].find(([, { key }]) => key.slot === note.lock.slot) ?? [];
    if (note.type === "bast") return `BAST ${id}(${MODE_NAMES[note.mode]})`;
    if (lock !== undefined && note.lvb !== null) lock.buffer = textOf(note.lvb);
    const status = note.status === "granted" ? `ok ${MODE_NAMES[note.mode ?? -1]}` : note.status;
    const sb = note.statusFlags === 0 ? "" : ` sb=${note.statusFlags}`;
    const buffer = lock === undefined || lock.buffer === "" ? "" : ` lvb=${lock.buffer}`;
    return `AST ${id} ${status}${sb}${buffer}`;
  }

  #show(): string {
    const nameOf = (lock: DlmLock): string =>
      [...this.#locks].find(([, { key }]) => key.slot === lock.slot)?.[0] ?? "?";
    const modesOf = ({ granted, requested }: DlmLock): string =>
      [granted, requested].flatMap((mode) => (mode === null ? [] : MODE_NAMES[mode])).join(">");
    const queue = (letter: string, locks: readonly DlmLock[]): string[] =>
      locks.length === 0
        ? []
        : [`${letter} ${locks.map((lock) => `${nameOf(lock)} ${modesOf(lock)}`).join(" ")}`];
    const { granted, converting, waiting } = this.resource;
    const parts = [...queue("G", granted), ...queue("C", converting), ...queue("W", waiting)];
    return parts.join(" | ") || "-";
  }

  #showLvb(): string {
    const { lvb, isLvbInvalid } = this.resource;
    return `${lvb === null ? "none" : textOf(lvb)}${isLvbInvalid ? " invalid" : ""}`;
  }
}

/** Runs a story: lines of `operation -> effects`; empty lines and lines with # are skipped. */
export const tellLockStory = (story: string): LockBench => {
  const bench = new LockBench();
  for (const line of story.split("\n").map((text) => text.trim())) {
    if (line === "" || line.startsWith("#")) continue;
    const [operation = "", expected = "?"] = line.split(/\s+->\s*/);
    assert.is(bench.run(operation), expected, `\`${operation}\` of\n${story}`);
  }
  return bench;
};
