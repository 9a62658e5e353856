/**
 * NBD exports as configured: opened when their array runs, offline with a reason when it does not.
 * The connections themselves are the engine's.
 */

import { countText } from "../common/count-text.ts";
import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { ExportRecord, ExportRecords } from "../store/export-records.ts";
import type { ArrayService } from "./array-service.ts";
import type { ArrayView } from "./array-view.ts";
import type { ExportClient, StorageEngine } from "./engine.ts";
import type { EventService } from "./event-service.ts";
import { subjectOf } from "./subject.ts";

/** Exports a board may have. */
export const EXPORTS_MAX = 256;
/** Longest word to a client that asks for a closed export; NBD has room for 4096. */
const TOLD_MAX = 1000;

/** What the service needs. */
export interface ExportServiceOptions {
  readonly records: ExportRecords;
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly events: EventService;
  readonly now: () => number;
  readonly logger: Logger;
}

/** What makes an export. */
export interface ExportOrder {
  readonly name: string;
  readonly array: string;
  readonly description: string;
  readonly readOnly: boolean;
  readonly tlsRequired: boolean;
}

/** What may be changed of an export; absent fields stay. */
export interface ExportChange {
  readonly description?: string;
  readonly readOnly?: boolean;
  readonly tlsRequired?: boolean;
}

/** An export as control shows it; `reason` says why it is not open. */
export interface ExportView {
  readonly record: ExportRecord;
  readonly isOpen: boolean;
  readonly reason: string | null;
  readonly array: ArrayView | null;
  readonly clients: readonly ExportClient[];
}

interface Entry {
  record: ExportRecord;
  isOpen: boolean;
  reason: string | null;
}

/** The exports. */
export class ExportService {
  readonly #options: ExportServiceOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: ExportServiceOptions) {
    this.#options = options;
  }

  /** Reads the records; nothing is opened. */
  load(): void {
    for (const record of this.#options.records.list()) {
      this.#entries.set(record.name, { record, isOpen: false, reason: "its array does not run" });
    }
  }

  list(): ExportView[] {
    const clients = this.#options.engine.clients();
    return [...this.#entries.values()].map((entry) => this.#view(entry, clients));
  }

  /** The export by name. Errors: CONTROL_EXPORT_NOT_FOUND. */
  find(name: string): ExportView {
    return this.#view(this.#entry(name), this.#options.engine.clients());
  }

  /** Names of the exports of an array. */
  namesOf(uuid: string): string[] {
    return [...this.#entries.values()]
      .filter((entry) => entry.record.arrayUuid === uuid)
      .map((entry) => entry.record.name);
  }

  /** Clients attached to exports of an array. */
  clientsOf(uuid: string): ExportClient[] {
    const names = new Set(this.namesOf(uuid));
    return this.#options.engine.clients().filter((client) => names.has(client.exportName));
  }

  /** Makes an export and opens it when its array runs. Errors: CONTROL_NAME_TAKEN, engine's. */
  async create(order: ExportOrder): Promise<ExportView> {
    const array = this.#options.arrays.find(order.array);
    if (this.#entries.has(order.name)) {
      throw new CodedError("CONTROL_NAME_TAKEN", `there is an export ${order.name} already`, {
        remedy: "choose another name",
      });
    }
    if (this.#entries.size >= EXPORTS_MAX) {
      throw new CodedError("CONTROL_EXPORTS_FULL", `the board has ${EXPORTS_MAX} exports already`, {
        remedy: "delete exports that are not in use",
      });
    }
    const now = this.#options.now();
    const record: ExportRecord = {
      name: order.name,
      arrayUuid: array.record.uuid,
      description: order.description,
      readOnly: order.readOnly,
      tlsRequired: order.tlsRequired,
      createdAt: now,
      updatedAt: now,
    };
    const entry: Entry = { record, isOpen: false, reason: "its array does not run" };
    this.#entries.set(record.name, entry);
    try {
      if (array.isRunning) {
        await this.#openEntry(entry);
      }
      this.#options.records.put(record);
    } catch (error) {
      await this.#undo(entry);
      throw error;
    }
    this.#announce(record.name, "export.created", `export ${record.name} made`, array.record.uuid);
    return this.find(record.name);
  }

  /** Changes an export. Errors: CONTROL_EXPORT_IN_USE unless `force`, engine's. */
  async change(name: string, change: ExportChange, force: boolean): Promise<ExportView> {
    const entry = this.#entry(name);
    this.#refuseInUse(name, force);
    const before = entry.record;
    const record = { ...before, ...change, updatedAt: this.#options.now() };
    if (entry.isOpen) {
      await this.#closeEntry(entry, "being changed");
      entry.record = record;
      try {
        await this.#openEntry(entry);
      } catch (error) {
        entry.record = before;
        await this.#openEntry(entry);
        throw error;
      }
    }
    entry.record = record;
    this.#options.records.put(record);
    this.#announce(name, "export.changed", `export ${name} changed`, record.arrayUuid);
    return this.find(name);
  }

  /** Deletes an export. Errors: CONTROL_EXPORT_IN_USE unless `force`. */
  async remove(name: string, force: boolean): Promise<void> {
    const entry = this.#entry(name);
    this.#refuseInUse(name, force);
    await this.#closeEntry(entry, "deleted");
    this.#options.records.remove(name);
    this.#entries.delete(name);
    this.#announce(name, "export.deleted", `export ${name} deleted`, entry.record.arrayUuid, true);
  }

  /** Opens every export of an array that has started; one that fails stays offline, with why. */
  async openAll(uuid: string): Promise<void> {
    for (const entry of this.#of(uuid)) {
      try {
        await this.#openEntry(entry);
      } catch (error) {
        entry.reason = error instanceof Error ? error.message : String(error);
        this.#options.logger.error({ export: entry.record.name, error }, "export-open-failed");
      }
      this.#options.events.changed("export", entry.record.name);
    }
  }

  /** An array did not start: clients who wait for its exports are told that there are none. */
  async giveUp(uuid: string): Promise<void> {
    for (const { record, isOpen } of this.#of(uuid)) {
      if (!isOpen) await this.#options.engine.closeExport(record.name);
    }
  }

  /**
   * Closes every export of an array: BEFORE the array is stopped. `isComing`: it starts again by
   * itself, and clients who attach meanwhile wait for that.
   */
  async closeAll(uuid: string, reason: string, isComing = false): Promise<void> {
    for (const entry of this.#of(uuid)) {
      await this.#closeEntry(entry, reason, isComing);
      this.#options.events.changed("export", entry.record.name);
    }
  }

  /** Tells clients who ask for exports of an array that does not run why they are closed. */
  async explain(uuid: string, reason: string): Promise<void> {
    for (const entry of this.#of(uuid)) {
      if (entry.isOpen) continue;
      entry.reason = reason;
      const { engine } = this.#options;
      await engine.closeExport(entry.record.name, null, toldReason(entry.record, reason));
      this.#options.events.changed("export", entry.record.name);
    }
  }

  /** Drops the exports of an array that was forgotten; its records are gone with it. */
  forgetAll(uuid: string): void {
    for (const entry of this.#of(uuid)) {
      this.#entries.delete(entry.record.name);
      this.#options.events.changed("export", entry.record.name, true);
    }
  }

  #of(uuid: string): Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.record.arrayUuid === uuid);
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      throw new CodedError("CONTROL_EXPORT_NOT_FOUND", `there is no export ${name}`, {
        remedy: "list the exports",
      });
    }
    return entry;
  }

  #view(entry: Entry, clients: readonly ExportClient[]): ExportView {
    return {
      record: entry.record,
      isOpen: entry.isOpen,
      reason: entry.reason,
      array: this.#options.arrays.get(entry.record.arrayUuid),
      clients: clients.filter((client) => client.exportName === entry.record.name),
    };
  }

  #refuseInUse(name: string, force: boolean): void {
    const { clients } = this.find(name);
    if (clients.length > 0 && !force) {
      throw new CodedError(
        "CONTROL_EXPORT_IN_USE",
        `${countText(clients.length, "client uses", "clients use")} export ${name}`,
        {
          remedy: "detach them, or ask with force (--force)",
          details: { clients: clients.map((client) => client.peer) },
        },
      );
    }
  }

  async #openEntry(entry: Entry): Promise<void> {
    const { name, arrayUuid, description, readOnly, tlsRequired } = entry.record;
    await this.#options.engine.openExport({ name, arrayUuid, description, readOnly, tlsRequired });
    entry.isOpen = true;
    entry.reason = null;
  }

  async #closeEntry(entry: Entry, reason: string, isComing = false): Promise<void> {
    const { name, description, tlsRequired } = entry.record;
    if (entry.isOpen || isComing) {
      const coming = isComing ? { name, description, tlsRequired } : null;
      await this.#options.engine.closeExport(name, coming, toldReason(entry.record, reason));
    }
    entry.isOpen = false;
    entry.reason = reason;
  }

  async #undo(entry: Entry): Promise<void> {
    this.#entries.delete(entry.record.name);
    if (entry.isOpen) {
      await this.#options.engine.closeExport(entry.record.name);
    }
  }

  #announce(name: string, type: string, message: string, uuid: string, isDeleted = false): void {
    const { events } = this.#options;
    const subject = subjectOf("export", name);
    events.record({ type, severity: "info", subject, message, details: { array: uuid } });
    events.changed("export", name, isDeleted);
    events.changed("array", uuid);
  }
}

/** What clients are told; who shows no certificate hears nothing of an export that needs one. */
const toldReason = ({ name, tlsRequired }: ExportRecord, reason: string): string =>
  tlsRequired ? "" : `the export ${name} is closed: ${reason}`.slice(0, TOLD_MAX);
