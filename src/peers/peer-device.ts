/**
 * A disk of another board as a block device: `peer:BOARD/DISK`, over NBD with mutual TLS. The name
 * under which it asks carries the session in which it asks and the exporter's life; so a request
 * is either carried out in both, or refused.
 *
 * A connection that breaks is made anew for up to 5 s, 3 s if it was silent before, and what was
 * under way is sent again; after that, or when the exporter refuses, every call fails with
 * HAL_PEER_GONE, for good. A call that failed so may still be carried out by the peer until it
 * refuses the session.
 */

import { createSecureContext, type SecureContext } from "node:tls";
import { MONOTONIC_CLOCK } from "../cluster/store/monotonic-clock-driver.ts";
import type { StoreClock } from "../cluster/store/store-clock.ts";
import { CodedError } from "../common/errors.ts";
import { piecesLength, slicePieces } from "../common/pieces.ts";
import { allData } from "../hal/allocation-runs.ts";
import type { AllocationRun, BlockDevice, SyncCalls } from "../hal/block-device.ts";
import { checkRange } from "../hal/device-range.ts";
import { peerPath } from "../hal/peer-path.ts";
import type { ClientTarget } from "../nbd/client-connect-driver.ts";
import type { Agreed } from "../nbd/client-handshake.ts";
import {
  NBD_CMD_BLOCK_STATUS,
  NBD_CMD_FLAG_FAST_ZERO,
  NBD_CMD_FLAG_FUA,
  NBD_CMD_FLAG_NO_HOLE,
  NBD_CMD_FLUSH,
  NBD_CMD_READ,
  NBD_CMD_WRITE,
  NBD_CMD_WRITE_ZEROES,
  NBD_FLAG_CAN_MULTI_CONN,
  NBD_FLAG_READ_ONLY,
  NBD_FLAG_SEND_FAST_ZERO,
  NBD_FLAG_SEND_FLUSH,
  NBD_FLAG_SEND_FUA,
  NBD_FLAG_SEND_WRITE_ZEROES,
} from "../nbd/constants.ts";
import { encodeMemberName } from "./member-name.ts";
import { PeerCalls } from "./peer-calls-driver.ts";
import { isSlowThere, unfit } from "./peer-errors.ts";
import type { PeerHealth } from "./peer-health.ts";
import { PeerLinks } from "./peer-links-driver.ts";
import type { PeerAccess, PeerTicket } from "./peer-ticket.ts";

/** A device over connections that `target` tells; what `PeerDevice.open` makes of a ticket. */
export interface PeerDeviceOptions {
  readonly name: string;
  readonly mode: "read" | "write";
  /** What the disk has at least. */
  readonly sizeBytes: number;
  readonly logicalBlockSize: number;
  readonly target: (connection: number) => ClientTarget;
  readonly clock: StoreClock;
}

const MIB = 1024 * 1024;
/** Connections of a device that is written, where the exporter knows several as one. */
const CONNECTIONS = 2;
/** Longer reads go as several requests. Choice: nobody waits long behind one. */
const READ_MAX = MIB;
/**
 * Longer writes do. A write is answered when all of it has arrived, and 3 s of silence end the
 * connection: so a link that carries 0.4 Mbit/s for it is slow, and not broken.
 */
const WRITE_MAX = MIB / 8;
/** Longer ranges to zero go as several requests, one after the other: none takes for ever. */
const ZERO_MAX = 64 * MIB;
/** The longest range asked about at once; NBD's own limit is 4 GiB. */
const STATUS_MAX = 1024 * MIB;
/** A size is not measured again for so long: one just opened is assembled first. Choice. */
const OPENED_MS = 10_000;
const MEASURED_MS = 1000;
/** So often a quick way to zero is tried and refused: some stores have to show it first. */
const QUICK_TRIES = 2;

const WANTED_FLAGS = [
  [NBD_FLAG_SEND_FLUSH, "flush"],
  [NBD_FLAG_SEND_FUA, "FUA"],
  [NBD_FLAG_SEND_WRITE_ZEROES, "write zeroes"],
] as const;

export class PeerDevice implements BlockDevice {
  readonly name: string;
  readonly logicalBlockSize: number;
  readonly readOnly: boolean;
  /** Each call takes a round trip at least. */
  readonly sync: SyncCalls | null = null;
  readonly #links: PeerLinks;
  readonly #clock: StoreClock;
  #sizeBytes: number;
  /** When its size may be another one, on the clock. */
  #freshUntil: number;
  readonly #calls: PeerCalls;
  readonly #flags: number;
  readonly #hasStatus: boolean;
  readonly #readMax: number;
  readonly #writeMax: number;
  #punches: boolean;
  #zeroesFast = false;
  #quickTries: number;
  #closing: Promise<void> | null = null;

  private constructor(options: PeerDeviceOptions, links: PeerLinks, agreed: Agreed) {
    this.name = options.name;
    this.#clock = options.clock;
    this.#sizeBytes = agreed.sizeBytes;
    this.#freshUntil = options.clock.now() + OPENED_MS;
    this.logicalBlockSize = options.logicalBlockSize;
    this.readOnly = options.mode === "read";
    this.#links = links;
    this.#calls = new PeerCalls(options.name, links);
    this.#flags = agreed.flags;
    this.#hasStatus = agreed.allocationContext !== null;
    this.#readMax = Math.min(READ_MAX, agreed.sizes.maximum);
    this.#writeMax = Math.min(WRITE_MAX, agreed.sizes.maximum);
    const isQuick = !this.readOnly && (agreed.flags & NBD_FLAG_SEND_FAST_ZERO) !== 0;
    this.#punches = isQuick;
    this.#quickTries = isQuick ? QUICK_TRIES : 0;
  }

  /**
   * Errors: HAL_PEER_UNREACHABLE, HAL_PEER_UNTRUSTED, HAL_PEER_REFUSED, HAL_PEER_RESTARTED,
   * HAL_PEER_UNFIT.
   */
  static async open(
    ticket: PeerTicket,
    access: PeerAccess,
    mode: "read" | "write",
    clock: StoreClock = MONOTONIC_CLOCK,
  ): Promise<PeerDevice> {
    const { board, disk, life, host, port, sizeBytes, logicalBlockSize } = ticket;
    const { session, handle } = access;
    const name = peerPath({ board, disk });
    const context = secureContext(name, access);
    const target = (connection: number): ClientTarget => ({
      server: name,
      address: { host, port },
      exportName: encodeMemberName({ disk, mode, session, life, handle, connection }),
      tls: { context, servername: board },
    });
    return await PeerDevice.over({ name, mode, sizeBytes, logicalBlockSize, target, clock });
  }

  /** Errors: as `open`. */
  static async over(options: PeerDeviceOptions): Promise<PeerDevice> {
    const { name, mode, sizeBytes, clock, target } = options;
    const check = (agreed: Agreed): void => checkAgreed(name, mode, sizeBytes, agreed);
    const connections = ({ flags }: Agreed): number =>
      mode === "write" && (flags & NBD_FLAG_CAN_MULTI_CONN) !== 0 ? CONNECTIONS : 1;
    const { links, agreed } = await PeerLinks.open({ name, clock, target, check }, connections);
    return new PeerDevice(options, links, agreed);
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get punches(): boolean {
    return this.#punches;
  }

  get zeroesFast(): boolean {
    return this.#zeroesFast;
  }

  get health(): PeerHealth {
    return this.#links.health;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    const { length } = target;
    this.#check(offset, length, false);
    const call = { verb: "read", command: NBD_CMD_READ };
    if (length === 0) return;
    if (length <= this.#readMax) return this.#calls.run({ ...call, offset, length, target });
    await inPieces(length, this.#readMax, (from, size) => {
      const piece = target.subarray(from, from + size);
      return this.#calls.run({ ...call, offset: offset + from, length: size, target: piece });
    });
  }

  async write(source: readonly Uint8Array[], offset: number): Promise<void> {
    await this.#write(source, offset, 0);
  }

  writeDurable(source: Uint8Array, offset: number): Promise<void> | null {
    return this.#write([source], offset, NBD_CMD_FLAG_FUA);
  }

  async zero(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    this.#check(offset, length, true);
    for (let at = offset; at < offset + length; at += ZERO_MAX)
      await this.#zeroPiece(at, Math.min(ZERO_MAX, offset + length - at), mayUnmap);
  }

  async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    this.#check(offset, length, false);
    if (length === 0 || !this.#hasStatus) return allData(length);
    const runs: AllocationRun[] = [];
    const asked = Math.min(length, STATUS_MAX);
    const call = { verb: "block status", command: NBD_CMD_BLOCK_STATUS };
    await this.#calls.run({ ...call, offset, length: asked, runs });
    return runs;
  }

  /** Of every connection: the exporter knows them as one. */
  async flush(): Promise<void> {
    this.#check(0, 0, false);
    if ((this.#flags & NBD_FLAG_SEND_FLUSH) === 0) return;
    await this.#calls.run({ verb: "flush", command: NBD_CMD_FLUSH });
  }

  /** Makes its connections anew, unless they are: a connection has one size for its life. */
  async measure(): Promise<void> {
    if (this.#closing !== null || this.#clock.now() < this.#freshUntil) return;
    await this.#links.renew();
    this.#sizeBytes = Math.max(this.#sizeBytes, this.#links.sizeBytes);
    this.#freshUntil = this.#clock.now() + MEASURED_MS;
  }

  get gone(): Promise<CodedError> {
    return this.#links.whenGone;
  }

  /** Resolves when it is given up because nothing answers. */
  get silent(): Promise<void> {
    return this.#links.silent;
  }

  /** Nothing answers another thread: it is given up here as well, unless an answer comes soon. */
  doubt(): void {
    this.#links.doubt();
  }

  /** For good: its board will not answer. `why`: for people. */
  giveUp(why: string): void {
    this.#links.giveUp(why);
  }

  /** Calls under way are waited for only while the peer answers. */
  close(): Promise<void> {
    this.#closing ??= this.#links.close(this.#closedError());
    return this.#closing;
  }

  async #write(source: readonly Uint8Array[], offset: number, flags: number): Promise<void> {
    const length = piecesLength(source);
    this.#check(offset, length, true);
    const call = { verb: "write", command: NBD_CMD_WRITE, flags };
    if (length === 0) return;
    if (length <= this.#writeMax)
      return this.#calls.run({ ...call, offset, length, pieces: source });
    await inPieces(length, this.#writeMax, (from, size) => {
      const pieces = slicePieces(source, from, size);
      return this.#calls.run({ ...call, offset: offset + from, length: size, pieces });
    });
  }

  /** First the quick way, which the peer refuses when it would have to write zeroes. */
  async #zeroPiece(offset: number, length: number, mayUnmap: boolean): Promise<void> {
    const call = { verb: "zero", command: NBD_CMD_WRITE_ZEROES, offset, length };
    const flags = mayUnmap ? 0 : NBD_CMD_FLAG_NO_HOLE;
    if (mayUnmap ? this.#punches : this.#quickTries > 0) {
      try {
        await this.#calls.run({ ...call, flags: flags | NBD_CMD_FLAG_FAST_ZERO });
        if (!mayUnmap) this.#zeroesFast = true;
        return;
      } catch (error) {
        if (!isSlowThere(error)) throw error;
        if (mayUnmap) this.#punches = false;
        else this.#quickTries -= 1;
      }
    }
    if (!mayUnmap) this.#zeroesFast = false;
    await this.#calls.run({ ...call, flags });
  }

  #check(offset: number, length: number, isWrite: boolean): void {
    if (this.#closing !== null) throw this.#closedError();
    if (isWrite && this.readOnly)
      throw new CodedError("HAL_READ_ONLY", `${this.name}: opened read-only`);
    checkRange(this, offset, length);
  }

  #closedError(): CodedError {
    return new CodedError("HAL_DEVICE_CLOSED", `${this.name}: closed`);
  }
}

/** Ends AFTER the last of the pieces has: the memory is the peer's until then. */
const inPieces = async (
  length: number,
  pieceMax: number,
  run: (from: number, size: number) => Promise<void>,
): Promise<void> => {
  const runs: Promise<void>[] = [];
  for (let from = 0; from < length; from += pieceMax)
    runs.push(run(from, Math.min(pieceMax, length - from)));
  const failed = (await Promise.allSettled(runs)).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
};

const secureContext = (name: string, { tls }: PeerAccess): SecureContext => {
  try {
    return createSecureContext({ ...tls, minVersion: "TLSv1.2" });
  } catch (error) {
    throw new CodedError("HAL_PEER_UNTRUSTED", `${name}: this board's certificate cannot be used`, {
      remedy: "name the cluster's authority, this board's certificate and its key, as PEM files",
      cause: error,
    });
  }
};

const checkAgreed = (
  name: string,
  mode: "read" | "write",
  sizeBytes: number,
  agreed: Agreed,
): void => {
  if (agreed.sizeBytes < sizeBytes)
    throw unfit(name, `it has ${agreed.sizeBytes} bytes, its board told ${sizeBytes}`);
  if (agreed.sizes.minimum > 1)
    throw unfit(name, `it takes whole blocks of ${agreed.sizes.minimum} bytes only`);
  if (mode === "read") return;
  if ((agreed.flags & NBD_FLAG_READ_ONLY) !== 0) throw unfit(name, "it takes no writes");
  const missing = WANTED_FLAGS.find(([flag]) => (agreed.flags & flag) === 0);
  if (missing !== undefined) throw unfit(name, `it offers no ${missing[1]}`);
};
