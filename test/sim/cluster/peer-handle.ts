/**
 * A node's handle of a medium that another board serves, as the product's PeerDevice behaves: it
 * asks for ONE life of that board's exports. A connection that ends, or that does not answer for
 * long, is made anew for a while, and what was not answered is asked again; then, or when the board
 * refuses, the handle is dead for good.
 */

import { CodedError } from "../../../src/common/errors.ts";
import type { AllocationRun, SyncCalls } from "../../../src/hal/block-device.ts";
import { checkRange } from "../../../src/hal/device-range.ts";
import type { MemberName } from "../../../src/peers/member-name.ts";
import type {
  ClientEnd,
  PeerOp,
  PeerReply,
  PeerRequest,
  SimConnection,
} from "./board-connection.ts";
import { joined } from "./shared-device.ts";
import type { Caller, CallerLife, SharedMedium } from "./shared-medium.ts";
import type { SimHandle } from "./sim-world.ts";

/** A connection is made anew for so long, milliseconds; as the product's. */
const RECONNECT_MS = 5000;
/** A request that waits for so long ends its connection. */
const SILENT_MS = 4000;
const PAUSE_MS = 200;

/** A way to the board that has the medium. */
type Connect = (client: ClientEnd) => SimConnection;

interface Pending extends PeerRequest {
  readonly at: number;
  readonly done: (reply: PeerReply) => void;
}

export class PeerHandle implements SimHandle, ClientEnd {
  readonly logicalBlockSize = 512;
  readonly readOnly = false;
  readonly punches = false;
  readonly zeroesFast = false;
  readonly sync: SyncCalls | null = null;
  readonly medium: SharedMedium;
  /** Null once it may be used; why not, if it is dead before that. */
  readonly ready: Promise<string | null>;
  readonly #caller: Caller;
  readonly #way: Connect;
  readonly #name: Omit<MemberName, "connection">;
  readonly #readiness = Promise.withResolvers<string | null>();
  readonly #pending = new Map<number, Pending>();
  #connection: SimConnection | null = null;
  #isAdmitted = false;
  /** Since when there is no connection that serves it. */
  #since: number;
  #nextId = 1;
  /** The node has opened the medium anew, as that of a newcomer. */
  isForgotten = false;
  #gone: string | null = null;
  readonly #died = Promise.withResolvers<CodedError>();
  #isClosed = false;

  constructor(
    medium: SharedMedium,
    caller: Caller,
    name: Omit<MemberName, "connection">,
    connect: Connect,
  ) {
    this.medium = medium;
    this.#caller = caller;
    this.#name = name;
    this.#way = connect;
    this.ready = this.#readiness.promise;
    this.#since = caller.life.clock.now();
    this.#connect();
    this.#watch();
  }

  get life(): CallerLife {
    return this.#caller.life;
  }

  get gone(): Promise<CodedError> {
    return this.#died.promise;
  }

  /** Dead for good. */
  get isGone(): boolean {
    return this.#gone !== null;
  }

  get owes(): boolean {
    return this.#pending.size > 0;
  }

  get name(): string {
    return this.medium.path;
  }

  get sizeBytes(): number {
    return this.medium.durable.length;
  }

  async read(target: Uint8Array, offset: number): Promise<void> {
    this.#check(offset, target.length);
    this.medium.watch?.reads(this.medium, this.#caller, offset);
    const { data } = await this.#ask({ type: "read", offset, length: target.length });
    if (data !== null) target.set(data);
  }

  write(source: readonly Uint8Array[], offset: number): Promise<void> {
    return this.#write(source, offset, false);
  }

  writeDurable(source: Uint8Array, offset: number): Promise<void> {
    return this.#write([source], offset, true);
  }

  async zero(offset: number, length: number): Promise<void> {
    this.#check(offset, length);
    await this.write([new Uint8Array(length)], offset);
  }

  /** What is on the disk is not known here. */
  async allocation(offset: number, length: number): Promise<readonly AllocationRun[]> {
    this.#check(offset, length);
    return length === 0 ? [] : [{ length, isHole: false }];
  }

  async flush(): Promise<void> {
    this.#check(0, 0);
    await this.#ask({ type: "flush" });
  }

  async close(): Promise<void> {
    this.end(false);
  }

  /** `isAtOnce`: what was sent and has not arrived is lost. */
  end(isAtOnce: boolean): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#connection?.leave(isAtOnce);
    this.#connection = null;
    this.#end("HAL_DEVICE_CLOSED", "closed");
  }

  /** One of the machines has lost its power: nobody says anything any more. */
  lose(): void {
    this.#connection?.lose();
  }

  // --- what comes back --------------------------------------------------------------------------

  admitted(): void {
    this.#isAdmitted = true;
    this.#readiness.resolve(null);
    for (const request of this.#pending.values()) this.#connection?.ask(request);
  }

  refused(code: string): void {
    this.#die(code);
  }

  replied(reply: PeerReply): void {
    const request = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    request?.done(reply);
  }

  closed(): void {
    this.#connection = null;
    if (this.#isAdmitted) this.#since = this.life.clock.now();
    this.#isAdmitted = false;
    this.life.clock.after(PAUSE_MS, () => this.#connect());
  }

  // ----------------------------------------------------------------------------------------------

  async #write(source: readonly Uint8Array[], offset: number, isDurable: boolean): Promise<void> {
    const data = joined(source);
    this.#check(offset, data.length);
    this.medium.watch?.begins(this.medium, this.#caller, offset, data.length);
    await this.#ask({ type: "write", offset, data, isDurable });
  }

  async #ask(op: PeerOp): Promise<PeerReply> {
    const id = this.#nextId++;
    const reply = await new Promise<PeerReply>((done) => {
      const request = { id, op, at: this.life.clock.now(), done };
      this.#pending.set(id, request);
      if (this.#isAdmitted) this.#connection?.ask(request);
    });
    if (reply.error !== null) throw new CodedError(...reply.error);
    return reply;
  }

  #connect(): void {
    if (this.#isOver || this.#connection !== null) return;
    const isLate = this.life.clock.now() - this.#since > RECONNECT_MS;
    if (isLate) return this.#die("the board does not answer");
    const connection = this.#way({
      life: this.life,
      admitted: () => this.#isCurrent(connection) && this.admitted(),
      refused: (code) => this.#isCurrent(connection) && this.refused(code),
      replied: (reply) => this.#isCurrent(connection) && this.replied(reply),
      closed: () => this.#isCurrent(connection) && this.closed(),
    });
    this.#connection = connection;
    connection.hello({ ...this.#name, connection: 0 }, this.#caller);
  }

  #isCurrent(connection: SimConnection): boolean {
    return this.#connection === connection && !this.#isOver;
  }

  get #isOver(): boolean {
    return this.#gone !== null || this.#isClosed;
  }

  /** A way that is cut says nothing. */
  #watch(): void {
    this.life.clock.after(SILENT_MS / 4, () => {
      if (this.#isOver) return;
      const now = this.life.clock.now();
      const oldest = [...this.#pending.values()][0]?.at ?? now;
      const isSilent = this.#isAdmitted && now - Math.max(oldest, this.#since) > SILENT_MS;
      if (isSilent) {
        this.#connection?.leave(true);
        this.closed();
      } else if (!this.#isAdmitted && now - this.#since > RECONNECT_MS)
        return this.#die("the board does not answer");
      this.#watch();
    });
  }

  #die(why: string): void {
    if (this.#isOver) return;
    this.#connection?.leave(true);
    this.#connection = null;
    this.#gone = why;
    this.#end("HAL_PEER_GONE", why);
    this.#died.resolve(this.#goneError(why));
  }

  #end(code: string, why: string): void {
    this.#readiness.resolve(why);
    const error = [code, `${this.name}: ${why}`] as const;
    for (const { id, done } of this.#pending.values()) done({ id, data: null, error });
    this.#pending.clear();
  }

  #check(offset: number, length: number): void {
    if (this.#isClosed) throw new CodedError("HAL_DEVICE_CLOSED", `${this.name}: closed`);
    if (this.#gone !== null) throw this.#goneError(this.#gone);
    checkRange(this, offset, length);
  }

  #goneError(why: string): CodedError {
    return new CodedError("HAL_PEER_GONE", `${this.name}: ${why}`);
  }
}
