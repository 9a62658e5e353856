/**
 * Spare groups: arrays of one group share their spares. Moves a spare to the array that needs it,
 * and tells when an array has fewer spares than when it was last whole.
 */

import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { SpareMoveRecord, SpareRecords } from "../store/spare-records.ts";
import type { ArrayService } from "./array-service.ts";
import type { ArrayView } from "./array-view.ts";
import type { DeviceService } from "./device-service.ts";
import type { EventService } from "./event-service.ts";
import {
  decideMoves,
  type GroupArray,
  isIdleSpare,
  type SpareMove,
} from "./spare-group-decision.ts";
import { countOfStart, countSpares, type SpareCount } from "./spare-group-watch.ts";
import { subjectOf } from "./subject.ts";

/** What the service needs. */
export interface SpareGroupServiceOptions {
  readonly records: SpareRecords;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly events: EventService;
  readonly logger: Logger;
}

/** Longest name of a spare group. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,30}$/;
const LATER = "CONTROL_ARRAY_BUSY";

/** The spare groups. */
export class SpareGroupService {
  readonly #options: SpareGroupServiceOptions;
  readonly #groups = new Map<string, string | null>();
  readonly #counts = new Map<string, SpareCount>();
  /** Moves that failed, with how the array looked then: tried again once it looks different. */
  readonly #refused = new Map<string, string>();

  /** Spares that are in no array now, told once each. */
  readonly #stranded = new Set<string>();

  constructor(options: SpareGroupServiceOptions) {
    this.#options = options;
  }

  /** Reads the groups and follows the arrays. */
  load(): void {
    for (const { arrayUuid, spareGroup, sparesWhenWhole } of this.#options.records.list()) {
      this.#groups.set(arrayUuid, spareGroup);
      this.#counts.set(arrayUuid, countOfStart(sparesWhenWhole));
    }
    this.#options.events.onChange(({ kind, id, isDeleted }) => {
      if (kind === "array") {
        this.#arrayChanged(id, isDeleted);
      }
    });
  }

  /** The array's spare group, or null. */
  groupOf(uuid: string): string | null {
    return this.#groups.get(uuid) ?? null;
  }

  /** Sets the group; null: none. Errors: CONTROL_ARRAY_NOT_FOUND, CONTROL_SPARE_GROUP_INVALID. */
  setGroup(key: string, group: string | null): void {
    const { uuid, name } = this.#options.arrays.find(key).record;
    if (group !== null && !NAME.test(group)) {
      throw new CodedError("CONTROL_SPARE_GROUP_INVALID", `\`${group}\` cannot name a group`, {
        remedy: "use 1 to 31 of A-Z a-z 0-9 . _ -, the first a letter or digit",
      });
    }
    this.#put(uuid, group);
    this.#groups.set(uuid, group);
    const message =
      group === null ? `${name} is in no spare group` : `${name} shares its spares: ${group}`;
    this.#record(uuid, "spare-group.changed", "info", message, { spare_group: group });
    this.#options.events.changed("array", uuid);
  }

  /** Ends moves that a kill cut short, then makes the moves that are needed now. */
  async tick(): Promise<void> {
    for (const move of this.#options.records.moves()) {
      await this.#finish(move);
    }
    const arrays = this.#options.arrays.list().map((view) => this.#groupArray(view));
    const isRefused = (move: SpareMove): boolean =>
      this.#refused.get(keyOf(move)) === this.#look(move);
    for (const move of decideMoves(arrays, isRefused)) {
      await this.#move(move);
    }
  }

  /** Takes the spare out of one array and adds it to the other; puts it back when that fails. */
  async #move(move: SpareMove): Promise<void> {
    const { arrays, records } = this.#options;
    const { from, to, path } = move;
    try {
      // Both are held from before the spare leaves: nothing else gets between.
      await arrays.exclusively(to, "a spare's move", () =>
        arrays.exclusively(from, "a spare's move", async () => {
          records.beginMove({ path, fromUuid: from, toUuid: to });
          await arrays.findRunning(from).running.remove(path);
          await arrays.findRunning(to).running.add(path, { force: true });
          records.endMove(path);
        }),
      );
      this.#moved(move);
    } catch (error) {
      if (!(error instanceof CodedError && error.code === LATER)) {
        this.#refused.set(keyOf(move), this.#look(move));
        await this.#putBack(move, error instanceof Error ? error.message : String(error));
      }
    } finally {
      await this.#readDevice(path);
    }
  }

  #moved({ from, to, path }: SpareMove): void {
    const message = `spare ${path} moved from ${this.#nameOf(from)} to ${this.#nameOf(to)}`;
    this.#record(to, "spare.moved", "info", message, { path, from, to });
  }

  /** The spare could not be added where it was needed: back to where it came from. */
  async #putBack(move: SpareMove, why: string): Promise<void> {
    const { arrays, records, logger } = this.#options;
    const { from, to, path } = move;
    const names = { from: this.#nameOf(from), to: this.#nameOf(to) };
    try {
      if (arrays.membershipOf(path)?.running == null) {
        await arrays.exclusively(from, "a spare's return", () =>
          arrays.findRunning(from).running.add(path, { force: true }),
        );
      }
      records.endMove(path);
      this.#stranded.delete(path);
      const message = `spare ${path} of ${names.from} stays there, ${names.to} cannot take it: ${why}`;
      this.#record(to, "spare.move-failed", "warning", message, { path, from, to });
    } catch (error) {
      // Its record stays: the next round tries again to bring it back.
      logger.error({ path, error }, "spare-put-back-failed");
      const message = `spare ${path} could neither go to ${names.to} (${why}) nor back to ${names.from}`;
      if (!this.#stranded.has(path)) {
        this.#stranded.add(path);
        this.#record(from, "spare.move-failed", "critical", message, { path, from, to });
      }
    }
  }

  /** A move that did not end: the spare is in one of the arrays, or in none and goes back. */
  async #finish({ path, fromUuid, toUuid }: SpareMoveRecord): Promise<void> {
    const { arrays, devices, records } = this.#options;
    const membership = arrays.membershipOf(path);
    const isUnknown = devices.idOf(path) === null || arrays.get(fromUuid) === null;
    if (membership?.running != null || isUnknown) {
      records.endMove(path);
      if (membership?.uuid === toUuid) {
        this.#moved({ path, from: fromUuid, to: toUuid });
      }
      return;
    }
    const isThere = devices.fileAt(path) !== null;
    if (isThere && arrays.get(fromUuid)?.isRunning) {
      await this.#putBack({ path, from: fromUuid, to: toUuid }, "the move was cut short");
      await this.#readDevice(path);
    }
  }

  async #readDevice(path: string): Promise<void> {
    if (this.#options.devices.idOf(path) !== null) {
      await this.#options.devices.read(path);
    }
  }

  #groupArray({ record, isRunning, status }: ArrayView): GroupArray {
    const members = isRunning ? (status?.members ?? []) : [];
    const active = members.filter(({ states }) => states.includes("in_sync"));
    const sizes = active.flatMap(({ path }) => this.#deviceOf(path)?.sizeBytes ?? []);
    return {
      uuid: record.uuid,
      name: record.name,
      spareGroup: this.groupOf(record.uuid),
      isUsable: isRunning && !record.readOnly && status !== null && status.health !== "failed",
      isDegraded: (status?.degraded ?? 0) > 0,
      rebuilding: members.filter(({ states }) => states.includes("rebuilding")).length,
      spares: members.filter(isIdleSpare).flatMap(({ path }) => this.#deviceOf(path) ?? []),
      smallestMemberBytes: Math.min(...sizes),
      logicalBlockBytes: status?.logicalBlockBytes ?? 512,
    };
  }

  #deviceOf(path: string | null): GroupArray["spares"][number] | null {
    const { devices } = this.#options;
    const id = path === null ? null : devices.idOf(path);
    const probe = id === null ? null : devices.find(id).probe;
    return path === null || probe === null
      ? null
      : { path, sizeBytes: probe.sizeBytes, logicalBlockBytes: probe.logicalBlockSize };
  }

  /** How the array in need looks: a move that failed is not tried again until it changes. */
  #look({ to }: SpareMove): string {
    const members = this.#options.arrays.get(to)?.status?.members ?? [];
    return JSON.stringify(members.map(({ path, states }) => [path, states]));
  }

  #arrayChanged(uuid: string, isDeleted: boolean): void {
    if (isDeleted) {
      this.#groups.delete(uuid);
      this.#counts.delete(uuid);
      return;
    }
    const view = this.#options.arrays.get(uuid);
    if (view === null || view.status === null) {
      return;
    }
    const before = this.#counts.get(uuid) ?? countOfStart(null);
    if (!view.isRunning) {
      this.#counts.set(uuid, countOfStart(before.whenWhole));
      return;
    }
    const { count, missingOf } = countSpares(before, view.status);
    this.#counts.set(uuid, count);
    if (missingOf !== null) {
      const message = `${view.record.name} had ${missingOf} spares when it was last whole, and has fewer now`;
      this.#record(uuid, "spare.missing", "warning", message, { spares: missingOf });
    }
    if (count.whenWhole !== before.whenWhole) {
      this.#keepCount(uuid);
    }
  }

  #keepCount(uuid: string): void {
    try {
      this.#put(uuid, this.groupOf(uuid));
    } catch (error) {
      this.#options.logger.error({ array: uuid, error }, "spare-count-write-failed");
    }
  }

  #put(uuid: string, spareGroup: string | null): void {
    const sparesWhenWhole = this.#counts.get(uuid)?.whenWhole ?? null;
    this.#options.records.put({ arrayUuid: uuid, spareGroup, sparesWhenWhole });
  }

  #nameOf(uuid: string): string {
    return this.#options.arrays.get(uuid)?.record.name ?? uuid;
  }

  #record(
    uuid: string,
    type: string,
    severity: "info" | "warning" | "critical",
    message: string,
    details: Readonly<Record<string, unknown>>,
  ): void {
    const subject = subjectOf("array", uuid);
    this.#options.events.record({ type, severity, subject, message, details });
  }
}

const keyOf = ({ path, to }: SpareMove): string => `${to} ${path}`;
