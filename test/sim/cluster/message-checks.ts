/**
 * Looks at messages on their way from the channel to the arrays.
 *   I6 each member that was one at the publication carries a message out once, in the order of the
 *      numbers, never its own, and BEFORE it acknowledges it
 *   I4 a range that a node is told when it joins is one that the bitmap's lock told since
 */

import { decodeLvb } from "../../../src/cluster/dlm/lvb-text.ts";
import type { ChannelAck, ChannelRecord } from "../../../src/cluster/md/channel-record.ts";
import type { Envelope } from "../../../src/cluster/md/md-message.ts";
import { decodeMessage } from "../../../src/cluster/md/message-codec.ts";
import { decodeResyncRange } from "../../../src/cluster/md/resync-range.ts";
import type { ClusterCall, ClusterNotice } from "../../../src/raid/cluster-port.ts";
import type { Tell } from "./lock-checks.ts";
import type { CallerLife } from "./shared-medium.ts";

/** Messages and ranges that are remembered. */
const KEPT_MAX = 64;

/** What the checks ask of the store. */
export interface Sessions {
  readonly now: number;
  /** Whether the life is a member, with this session. */
  epochOf(life: CallerLife): number | null;
  isMember(epoch: number): boolean;
}

interface Reception {
  /** The last message that it has carried out. */
  last: number;
  /** By number of the notice: the message that it was told. */
  readonly told: Map<number, Envelope>;
  /** Ranges that it was told before it took part; the message in flight may tell one again. */
  readonly probed: Set<string>;
}

/** Of a bitmap slot, in sectors. */
interface Range {
  readonly slot: number;
  readonly lo: number;
  readonly hi: number;
}

interface KnownRange {
  readonly from: number;
  readonly lo: number;
  readonly hi: number;
}

export class MessageChecks {
  readonly #tell: Tell;
  readonly #sessions: Sessions;
  readonly #published = new Map<number, Envelope>();
  #flight: Envelope | null = null;
  readonly #receptions = new Map<string, Reception>();
  /** By bitmap slot: what its lock's value block has told. */
  readonly #ranges = new Map<number, KnownRange[]>();

  constructor(tell: Tell, sessions: Sessions) {
    this.#tell = tell;
    this.#sessions = sessions;
  }

  /** The type of the message in flight, or of the last one. */
  get type(): string | null {
    return this.#flight?.message.type ?? null;
  }

  /** A message is in the record. */
  published({ payload, seq }: ChannelRecord): void {
    const envelope = payload === null ? null : decodeMessage(decodeLvb(payload));
    if (envelope === null || "type" in envelope) {
      this.#tell("I5", `message ${seq} is malformed`);
      return;
    }
    this.#flight = envelope;
    this.#published.set(seq, envelope);
    this.#published.delete(seq - KEPT_MAX);
  }

  /** The value block of a node's bitmap lock was written. */
  rangeTold(slot: number, lvb: string): void {
    const range = decodeResyncRange(decodeLvb(lvb));
    if (range === "malformed") {
      this.#tell("I4", `the range of slot ${slot} is malformed`);
      return;
    }
    const { lo, hi } = range ?? { lo: 0, hi: 0 };
    const known = this.#ranges.get(slot) ?? [];
    const last = known.at(-1);
    if (last?.lo === lo && last.hi === hi) return;
    known.push({ from: this.#sessions.now, lo, hi });
    if (known.length > KEPT_MAX) known.shift();
    this.#ranges.set(slot, known);
  }

  /** The array is told. */
  told(life: CallerLife, id: number, notice: ClusterNotice): void {
    if (notice.type === "recover-slot" || this.#sessions.epochOf(life) === null) return;
    const reception = this.#receptionOf(life);
    if (notice.type === "resyncing" && notice.hi > 0 && !life.isEntered) {
      const isFirst = !reception.probed.has(rangeText(notice));
      reception.probed.add(rangeText(notice));
      if (isFirst) return this.#isProbed(life, notice);
    }
    const flight = this.#flight;
    if (flight !== null && isOf(flight, notice) && this.#isNew(life, reception, flight)) {
      reception.told.set(id, flight);
      return;
    }
    if (notice.type !== "resyncing") this.#bad(life, `is told ${notice.type}, and nobody sent it`);
    else if (notice.hi > 0) this.#bad(life, `is told ${rangeText(notice)}, and nobody sent it`);
  }

  #isNew(life: CallerLife, { last, told }: Reception, { seq, origin }: Envelope): boolean {
    const isTold = [...told.values()].some((other) => other.seq === seq);
    return !isTold && seq > last && origin.epoch !== this.#sessions.epochOf(life);
  }

  /** What it reads of the others' locks before it takes part. */
  #isProbed(life: CallerLife, { slot, lo, hi }: Range): void {
    const known = this.#ranges.get(slot) ?? [];
    const isKnown = known.some((range, at) => {
      const until = known[at + 1]?.from ?? Number.POSITIVE_INFINITY;
      return range.lo === lo && range.hi === hi && until >= life.bornAt;
    });
    if (!isKnown) this.#tell("I4", `node ${life.node} reads [${lo}, ${hi}) of slot ${slot}`);
  }

  /** The array has done what the notice asks. */
  carriedOut(life: CallerLife, id: number): void {
    const reception = this.#receptionOf(life);
    const envelope = reception.told.get(id);
    if (envelope === undefined) return;
    reception.told.delete(id);
    if (envelope.seq <= reception.last) this.#bad(life, `carries ${envelope.seq} out again`);
    reception.last = envelope.seq;
  }

  /** The array asks: the last new device is answered so; nobody waits for one before. */
  called(life: CallerLife, call: ClusterCall): void {
    if (call.type !== "new-disk-ack") return;
    const { told, last } = this.#receptionOf(life);
    const devices = [...told].filter(([, { message }]) => message.type === "newdisk");
    for (const [id, { seq }] of devices) {
      // It took too long: the node has gone on without an answer.
      const isAwaited = id === devices.at(-1)?.[0] && seq > last;
      if (isAwaited) this.carriedOut(life, id);
      else told.delete(id);
    }
  }

  /** A member has acknowledged; `before`: its last one of this session, or none. */
  acknowledged(life: CallerLife, before: ChannelAck | undefined, now: ChannelAck): void {
    if (before === undefined || before.epoch !== now.epoch || now.seq === before.seq) return;
    if (now.seq < before.seq) this.#bad(life, `acknowledges ${now.seq} after ${before.seq}`);
    for (let seq = before.seq + 1; seq <= now.seq; seq++) {
      const envelope = this.#published.get(seq);
      if (envelope !== undefined && envelope.origin.epoch !== now.epoch)
        this.#isAcknowledged(life, envelope, now);
    }
  }

  #isAcknowledged(life: CallerLife, { seq, origin, message }: Envelope, ack: ChannelAck): void {
    if (seq < ack.seq) this.#bad(life, `acknowledges ${ack.seq} without ${seq}`);
    const isNothing = message.type === "unknown" || message.type === "bitmap-needs-sync";
    const isOver = message.type === "resyncing" && !this.#sessions.isMember(origin.epoch);
    // A device was not found in time, or the node has no rest: nothing is carried out.
    const isRefusable = message.type === "newdisk" || message.type === "bitmap-resize";
    const isRefused = isRefusable && ack.isRefused;
    if (isNothing || isOver || isRefused || life.isLeaving) return;
    const { last, probed } = this.#receptionOf(life);
    const isProbed =
      message.type === "resyncing" && probed.has(rangeText({ ...message, slot: origin.slot - 1 }));
    if (last !== seq && !isProbed)
      this.#bad(life, `acknowledges ${message.type} ${seq}, and has not carried it out`);
  }

  #receptionOf({ number }: CallerLife): Reception {
    const known = this.#receptions.get(number);
    if (known !== undefined) return known;
    const reception = { last: 0, told: new Map(), probed: new Set<string>() };
    this.#receptions.set(number, reception);
    return reception;
  }

  #bad(life: CallerLife, what: string): void {
    this.#tell("I6", `node ${life.node} ${what}`);
  }
}

const rangeText = ({ slot, lo, hi }: Range): string => `that slot ${slot} resyncs [${lo}, ${hi})`;

/** Whether the notice is what the message says. */
const isOf = ({ origin, message }: Envelope, notice: ClusterNotice): boolean => {
  switch (message.type) {
    case "resyncing":
      return (
        notice.type === "resyncing" &&
        notice.slot === origin.slot - 1 &&
        notice.lo === message.lo &&
        notice.hi === message.hi
      );
    case "newdisk":
      return notice.type === "new-disk" && notice.uuid === message.uuid;
    case "metadata-updated":
      return (
        notice.type === message.type &&
        notice.deviceNumber === message.deviceNumber &&
        notice.events === message.events
      );
    case "remove":
    case "re-add":
      return notice.type === message.type && notice.deviceNumber === message.deviceNumber;
    case "bitmap-resize":
    case "change-capacity":
      return notice.type === message.type;
    case "bitmap-needs-sync":
    case "unknown":
      return false;
  }
};
