/**
 * The member exports of a board: which connection of a peer gets which disk. For each one the NBD
 * server asks a directory of its own, which knows who the peer is, and lets it in when the fence
 * ledger says so. Member exports are listed to nobody.
 */
import { CodedError } from "../common/errors.ts";
import type {
  ClientCertificate,
  ConnectionDirectory,
  ExportEntry,
  ExportNotice,
  ExportRefusal,
} from "../nbd/export-backend.ts";
import { BlockBackend, type RequestPermit } from "./block-backend-driver.ts";
import type { DiskRooms, DiskUse, ServedDisk } from "./disk-rooms-driver.ts";
import type { FenceLedger, LedgerEffect } from "./fence-ledger.ts";
import type { Refusal } from "./fence-verdict.ts";
import { decodeMemberName, type MemberName } from "./member-name.ts";
import { refusalText } from "./member-refusal.ts";

/** Who asks is answered within this time. Choice: as long as a peer tries to come back. */
const ADMIT_MS = 5000;
/** Between looks of requests that wait behind a closed gate. */
const LOOK_MS = 20;
/** Block sizes advertised. Source: NBD protocol, "Block size constraints"; maximum as qemu's. */
const PREFERRED_BLOCK = 4096;
const MAXIMUM_PAYLOAD = 32 * 1024 * 1024;

export interface ExportsClock {
  /** Monotonic milliseconds. */
  now(): number;
  after(ms: number, act: () => void): () => void;
}

/** What the ledger wants of the cluster, not of connections. */
export type ClusterEffect = Extract<LedgerEffect, { type: "own-fenced" | "acknowledge" }>;

export interface MemberExportsOptions {
  readonly ledger: FenceLedger;
  readonly rooms: DiskRooms;
  readonly clock: ExportsClock;
  readonly onEffect: (effect: ClusterEffect) => void;
  /** Who waits for an export is to ask again. */
  readonly onAnswered: () => void;
  /** Somebody asks in a session that no key has told of yet. */
  readonly onUnseen: () => void;
}

export class MemberExports {
  readonly #options: MemberExportsOptions;
  readonly #asks = new Map<number, MemberDoor>();
  #parked: (() => void)[] = [];
  #refused: ReadonlySet<string> = new Set();
  #isLooking = false;
  #nextAsk = 1;

  constructor(options: MemberExportsOptions) {
    this.#options = options;
  }

  get options(): MemberExportsOptions {
    return this.#options;
  }

  /** Serial numbers of certificates that are good for nothing any more; replaces the last ones. */
  setRefused(serials: readonly string[]): void {
    this.#refused = new Set(serials);
    for (const door of new Set(this.#asks.values())) door.checkRefused(this.#refused);
    this.carryOut();
  }

  isRefused(serial: string): boolean {
    return this.#refused.has(serial);
  }

  /** What the next connection sees. */
  makeDirectory(): ConnectionDirectory {
    return new MemberDoor(this);
  }

  /** Does what the ledger has decided. */
  carryOut(): void {
    for (;;) {
      const effects = this.#options.ledger.take();
      if (effects.length === 0) return;
      for (const effect of effects) this.#carryOut(effect);
    }
  }

  /** What waits behind the gate looks again. */
  poke(): void {
    const parked = this.#parked;
    this.#parked = [];
    for (const again of parked) again();
  }

  /** Bounded by what each connection may have under way. */
  park(again: () => void): void {
    this.#parked.push(again);
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#options.clock.after(LOOK_MS, () => {
      this.#isLooking = false;
      this.poke();
    });
  }

  /** A number for something that asks. */
  register(door: MemberDoor): number {
    const ask = this.#nextAsk;
    this.#nextAsk += 1;
    this.#asks.set(ask, door);
    return ask;
  }

  forget(ask: number): void {
    this.#asks.delete(ask);
  }

  #carryOut(effect: LedgerEffect): void {
    switch (effect.type) {
      case "admit":
        return this.#asks.get(effect.connection)?.admit(effect.connection);
      case "refuse":
        return this.#asks.get(effect.connection)?.refuse(effect.connection, effect.refusal);
      case "close":
        return this.#asks.get(effect.connection)?.close(effect.reason);
      default:
        return this.#options.onEffect(effect);
    }
  }
}

/** One name that a connection has asked for. */
interface Asked {
  readonly number: number;
  readonly text: string;
  /** The ledger knows of it. */
  isKnown: boolean;
  isOver: boolean;
  use: DiskUse | null;
  entry: ExportEntry | null;
  refusal: Refusal | null;
  cancel: (() => void) | null;
}

const REFUSED = "the board was taken out of the cluster";
const NO_NAMES: readonly ExportNotice[] = [];

/** As NBD tells it. */
const told = ({ word, text }: Refusal): ExportRefusal => ({
  kind: word === "no-disk" || word === "restarted" ? "unknown" : "policy",
  text: refusalText(word, text),
});

class MemberDoor implements ConnectionDirectory {
  readonly #exports: MemberExports;
  #peer: ClientCertificate | null = null;
  #asked: Asked | null = null;
  #abort: ((reason: string) => void) | null = null;

  constructor(exports: MemberExports) {
    this.#exports = exports;
  }

  secured(client: ClientCertificate | null): void {
    this.#peer = client;
  }

  /** The peer's certificate is good for nothing any more, if it is one of these. */
  checkRefused(serials: ReadonlySet<string>): void {
    if (this.#peer === null || !serials.has(this.#peer.serial)) return;
    const asked = this.#asked;
    if (asked?.isKnown === true) this.#exports.options.ledger.gone(asked.number);
    this.close(REFUSED);
  }

  list(): readonly ExportNotice[] {
    return NO_NAMES;
  }

  find(text: string): ExportEntry | null {
    if (this.#peer === null) return null;
    if (this.#asked?.text !== text) this.#ask(text, this.#peer);
    return this.#asked?.entry ?? null;
  }

  isComing(text: string): boolean {
    const asked = this.#asked;
    return asked?.text === text && asked.entry === null && asked.refusal === null;
  }

  refusal(text: string): ExportRefusal | null {
    if (this.#peer === null)
      return told({
        word: "stranger",
        text: "disks are served to boards of the cluster, over TLS",
      });
    const refusal = this.#asked?.text === text ? this.#asked.refusal : null;
    return refusal === null ? null : told(refusal);
  }

  attached(abort: (reason: string) => void): void {
    this.#abort = abort;
    // It may have been closed in between.
    if (this.#asked?.entry === null) abort("its session is over");
  }

  gone(): void {
    const { ledger } = this.#exports.options;
    if (this.#asked?.isKnown === true) ledger.gone(this.#asked.number);
    this.#exports.carryOut();
    // Requests that wait find out that they are never to begin.
    this.#exports.poke();
  }

  ended(): void {
    this.#withdraw();
  }

  admit(number: number): void {
    const asked = this.#of(number);
    if (asked === null || asked.use === null) return;
    asked.cancel?.();
    const name = decodeMemberName(asked.text);
    const isRead = name?.mode !== "write";
    const permit = this.#permit(number);
    asked.entry = {
      name: asked.text,
      description: "",
      tlsRequired: true,
      minimumBlock: 1,
      preferredBlock: PREFERRED_BLOCK,
      maximumPayload: MAXIMUM_PAYLOAD,
      contexts: ["base:allocation"],
      // A disk that hangs takes no memory from the others.
      memory: name?.disk ?? "",
      backend: new BlockBackend(asked.use.device, permit, { readOnly: isRead }),
    };
    this.#exports.options.onAnswered();
  }

  refuse(number: number, refusal: Refusal): void {
    const asked = this.#of(number);
    if (asked === null) return;
    this.#release(asked);
    asked.isKnown = false;
    asked.refusal = refusal;
    this.#exports.options.onAnswered();
  }

  /** No request begins any more: the ledger sees to that. */
  close(reason: string): void {
    if (this.#asked === null) return;
    this.#asked.entry = null;
    this.#asked.refusal = { word: "fenced", text: reason };
    this.#abort?.(reason);
    this.#exports.poke();
  }

  #of(number: number): Asked | null {
    return this.#asked?.number === number ? this.#asked : null;
  }

  #ask(text: string, peer: ClientCertificate): void {
    this.#withdraw();
    const asked: Asked = {
      number: this.#exports.register(this),
      text,
      isKnown: false,
      isOver: false,
      use: null,
      entry: null,
      refusal: null,
      cancel: null,
    };
    this.#asked = asked;
    const { rooms, clock } = this.#exports.options;
    const name = decodeMemberName(text);
    const disk = name === null ? null : rooms.find(name.disk);
    if (name === null || disk === null) {
      const what = name === null ? "export" : `disk ${name.disk}`;
      asked.refusal = { word: "no-disk", text: `there is no such ${what} here` };
      return;
    }
    if (this.#exports.isRefused(peer.serial)) {
      asked.refusal = { word: "stranger", text: REFUSED };
      return;
    }
    asked.cancel = clock.after(ADMIT_MS, () => this.#giveUp(asked));
    void this.#enter(asked, name, disk, peer.name);
  }

  async #enter(asked: Asked, name: MemberName, disk: ServedDisk, peer: string): Promise<void> {
    const { rooms, ledger, onUnseen } = this.#exports.options;
    try {
      const use = await rooms.enter(disk, name.mode);
      if (asked.isOver || asked.refusal !== null) return use.leave();
      asked.use = use;
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      const word = error.code === "HAL_DEVICE_CLAIMED" ? "busy" : "no-disk";
      return this.refuse(asked.number, { word, text: error.message });
    }
    asked.isKnown = true;
    ledger.ask({ connection: asked.number, name, peer });
    this.#exports.carryOut();
    if (ledger.isLooking) onUnseen();
  }

  #giveUp(asked: Asked): void {
    if (asked.isKnown) {
      this.#exports.options.ledger.giveUp(asked.number);
      this.#exports.carryOut();
    } else if (!asked.isOver)
      this.refuse(asked.number, { word: "busy", text: "the disk could not be opened in time" });
  }

  /** The name is asked for no more, and nothing of it is under way. */
  #withdraw(): void {
    const asked = this.#asked;
    if (asked === null) return;
    this.#asked = null;
    asked.isOver = true;
    this.#release(asked);
    if (asked.isKnown) this.#exports.options.ledger.ended(asked.number);
    this.#exports.carryOut();
  }

  #release(asked: Asked): void {
    asked.cancel?.();
    asked.use?.leave();
    asked.use = null;
    this.#exports.forget(asked.number);
  }

  #permit(number: number): RequestPermit {
    const { ledger, clock } = this.#exports.options;
    return {
      begin: () => ledger.begin(number, clock.now()),
      end: () => {
        ledger.end(number);
        this.#exports.carryOut();
      },
      park: (again) => this.#exports.park(again),
    };
  }
}
