/**
 * The devices of one array as its thread knows them: the tickets by which every thread opens them,
 * and those that come or go while the array runs.
 */

import { assert } from "../common/assert.ts";
import type { ArrayDriver } from "../raid/array-driver.ts";
import type { CommandOutcome, Newcomer } from "../raid/array-messages.ts";
import type { ArrayCluster } from "./array-cluster.ts";
import { accessOf, withinLimit } from "./array-members.ts";
import type { ArrayThreadCommand, ArrayThreadData } from "./array-messages.ts";
import { putAside, takeBack } from "./aside-members.ts";
import { DeviceFinder } from "./device-finder.ts";
import { type NewcomerFlags, RETURNING, readNewcomer } from "./newcomer.ts";
import { type MemberTicket, openMember } from "./open-member.ts";

type Command<T extends ArrayThreadCommand["type"]> = Extract<
  ArrayThreadCommand,
  { readonly type: T }
>;

/** What the array thread answers for its devices; each may be another after a change. */
export interface DevicesHost {
  driver(): ArrayDriver;
  cluster(): ArrayCluster | null;
  setUuid(): Uint8Array;
  /** Asks the main thread which device has the uuid; answered by `finder.onFound`. */
  ask(id: number, uuid: string): void;
  /** Null: no thread of the board is owed a late answer at this path; else what is. */
  owed(path: string): Promise<string | null>;
  /** For people: why a device that another node adds is not taken. */
  passedOver(path: string, reason: string): void;
}

export class ArrayDevices {
  readonly #host: DevicesHost;
  readonly #data: ArrayThreadData;
  readonly #tickets: Map<string, MemberTicket>;
  #nextMember: number;
  /** Of devices that other nodes add. */
  readonly finder: DeviceFinder;

  constructor(data: ArrayThreadData, host: DevicesHost) {
    const { members } = data;
    this.#host = host;
    this.#data = data;
    this.#nextMember = members.length;
    this.#tickets = new Map(members.map((member) => [member.path, member]));
    this.finder = new DeviceFinder({
      ask: (id, uuid) => host.ask(id, uuid),
      owed: (path) => host.owed(path),
      open: (ticket) => this.#open(ticket, RETURNING),
      passedOver: (path, reason) => host.passedOver(path, reason),
    });
  }

  ticket(path: string): MemberTicket {
    const ticket = this.#tickets.get(path);
    assert(ticket !== undefined, "member without a ticket");
    return ticket;
  }

  /** A peer that serves elsewhere now is the same one only in the same life of its exports. */
  moved(members: readonly MemberTicket[]): void {
    for (const ticket of members) {
      const known = this.#tickets.get(ticket.path)?.peer?.life;
      if (known !== undefined && ticket.peer?.life === known)
        this.#tickets.set(ticket.path, ticket);
    }
  }

  /** The array has started anew; the driver's own members have the numbers below `count`. */
  renumber(count: number): void {
    this.#nextMember = count;
  }

  fail(command: Command<"fail">): Promise<CommandOutcome> {
    return this.#putAside(command);
  }

  /** A member that still owes answers stays: nobody else may write on it meanwhile. */
  async remove(command: Command<"remove">): Promise<CommandOutcome> {
    const late = await this.#host.owed(command.path);
    if (late === null) return this.#putAside(command);
    return { ok: false, code: "RAID_MEMBER_BUSY", message: late };
  }

  #putAside(command: Command<"fail" | "remove">): Promise<CommandOutcome> {
    const { driver, cluster } = this.#host;
    const member = driver().status.members.find(({ path }) => path === command.path);
    return putAside(cluster(), member, () => driver().command(command));
  }

  /** Opens and reads the newcomer BEFORE the machine hears of it; closes it when it is refused. */
  async join(command: Command<"add" | "re-add">): Promise<CommandOutcome> {
    const { member: ticket } = command;
    const flags = command.type === "re-add" ? RETURNING : command;
    const newcomer = await this.#open(ticket, flags);
    const driver = this.#host.driver();
    let outcome: CommandOutcome | null = null;
    try {
      outcome = await driver.command({ type: command.type, newcomer });
    } finally {
      if (outcome?.ok !== true) driver.forgetMember(newcomer.member);
    }
    if (outcome.ok) await takeBack(this.#host.cluster(), newcomer.superblock?.deviceUuid);
    return outcome;
  }

  /** Opens a device and makes it known to the driver. Errors: of opening and reading it. */
  async #open(ticket: MemberTicket, flags: NewcomerFlags): Promise<Newcomer> {
    // A faulty member that is still held has its claim already.
    const isHeld = this.#host.driver().status.members.some(({ path }) => path === ticket.path);
    const access = accessOf(this.#host.cluster(), this.#data);
    const device = await openMember(ticket, "write", isHeld ? { ...access, claim: null } : access);
    const driver = this.#host.driver();
    const member = this.#nextMember++;
    driver.addMember(member, { path: ticket.path, device });
    try {
      const setUuid = this.#host.setUuid();
      const forced = this.#host.cluster()?.view().forced ?? null;
      const found = await withinLimit(device, this.#data.answerLimitMs, () =>
        readNewcomer(device, { ...flags, setUuid, forced }),
      );
      this.#tickets.set(ticket.path, ticket);
      return { ...found, member, path: ticket.path };
    } catch (error) {
      driver.forgetMember(member);
      throw error;
    }
  }
}
