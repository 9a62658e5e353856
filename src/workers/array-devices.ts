/**
 * The devices of one array as its thread knows them: the tickets by which every thread opens them,
 * and those that come or go while the array runs.
 */

import { assert } from "../common/assert.ts";
import { atMost } from "../common/at-most-driver.ts";
import { CodedError } from "../common/errors.ts";
import type { ArrayDriver } from "../raid/array-driver.ts";
import type { CommandOutcome, Newcomer } from "../raid/array-messages.ts";
import type { ArrayCluster } from "./array-cluster.ts";
import { accessOf, withinLimit } from "./array-members.ts";
import type { ArrayThreadCommand, ArrayThreadData } from "./array-messages.ts";
import { type NewcomerFlags, RETURNING, readNewcomer } from "./newcomer.ts";
import { answersSoon, type MemberTicket, openMember } from "./open-member.ts";

/** Who adds a device waits no longer for the others. Source: MD Cluster, NEW_DEV_TIMEOUT 5 s. */
const FIND_MS = 5000;

type Command<T extends ArrayThreadCommand["type"]> = Extract<
  ArrayThreadCommand,
  { readonly type: T }
>;

/** What the array thread answers for its devices; each may be another after a change. */
export interface DevicesHost {
  driver(): ArrayDriver;
  cluster(): ArrayCluster | null;
  setUuid(): Uint8Array;
  /** Asks the main thread which device has the uuid; answered by `onFound`. */
  ask(id: number, uuid: string): void;
}

export class ArrayDevices {
  readonly #host: DevicesHost;
  readonly #answerLimitMs: number | null;
  readonly #tickets: Map<string, MemberTicket>;
  #nextMember: number;
  /** Devices that the main thread is asked for, by number of the question. */
  readonly #finding = new Map<number, (member: MemberTicket | null) => void>();
  #nextFinding = 1;

  constructor({ members, answerLimitMs }: ArrayThreadData, host: DevicesHost) {
    this.#host = host;
    this.#answerLimitMs = answerLimitMs;
    this.#nextMember = members.length;
    this.#tickets = new Map(members.map((member) => [member.path, member]));
  }

  ticket(path: string): MemberTicket {
    const ticket = this.#tickets.get(path);
    assert(ticket !== undefined, "member without a ticket");
    return ticket;
  }

  /** The array has started anew; the driver's own members have the numbers below `count`. */
  renumber(count: number): void {
    this.#nextMember = count;
  }

  onFound(id: number, member: MemberTicket | null): void {
    this.#finding.get(id)?.(member);
    this.#finding.delete(id);
  }

  /** The device that another node adds, opened and read; null: this board does not see it. */
  async find(uuid: string): Promise<Newcomer | null> {
    const id = this.#nextFinding++;
    const found = new Promise<MemberTicket | null>((resolve) => {
      this.#finding.set(id, resolve);
      this.#host.ask(id, uuid);
    });
    const ticket = await atMost(found, FIND_MS, null);
    if (ticket === null) return null;
    try {
      return await this.#open(ticket, RETURNING);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return null;
    }
  }

  /** A member that still owes answers stays: nobody else may write on it meanwhile. */
  async remove(command: Command<"remove">): Promise<CommandOutcome> {
    const driver = this.#host.driver();
    const device = driver.givenUp(command.path);
    if (device === null || (await answersSoon(device))) return driver.command(command);
    const message = `${command.path} has not answered all calls yet`;
    return { ok: false, code: "RAID_MEMBER_BUSY", message };
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
      return outcome;
    } finally {
      if (outcome?.ok !== true) driver.forgetMember(newcomer.member);
    }
  }

  /** Opens a device and makes it known to the driver. Errors: of opening and reading it. */
  async #open(ticket: MemberTicket, flags: NewcomerFlags): Promise<Newcomer> {
    // A faulty member that is still held has its claim already.
    const isHeld = this.#host.driver().status.members.some(({ path }) => path === ticket.path);
    const access = accessOf(this.#host.cluster());
    const device = await openMember(ticket, "write", isHeld ? { ...access, claim: null } : access);
    const driver = this.#host.driver();
    const member = this.#nextMember++;
    driver.addMember(member, { path: ticket.path, device });
    try {
      const setUuid = this.#host.setUuid();
      const found = await withinLimit(device, this.#answerLimitMs, () =>
        readNewcomer(device, { ...flags, setUuid }),
      );
      this.#tickets.set(ticket.path, ticket);
      return { ...found, member, path: ticket.path };
    } catch (error) {
      driver.forgetMember(member);
      throw error;
    }
  }
}
