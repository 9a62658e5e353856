/**
 * The devices of the board: files of the data directory's `disks` folder, configured paths, and the
 * disks that other boards serve, each with a stable id. Reads what they hold through the engine,
 * never while an array uses them. device-monitor.ts watches them.
 */

import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { DeviceFile, DeviceFiles } from "../hal/device-files.ts";
import { parsePeerPath, peerDeviceId } from "../hal/peer-path.ts";
import type { DeviceContent, DeviceRecord, DeviceRecords } from "../store/device-records.ts";
import type { ArrayService, Membership } from "./array-service.ts";
import { type DeviceVerdict, deviceState } from "./device-state.ts";
import type { DeviceProbe, StorageEngine } from "./engine.ts";
import type { EventService } from "./event-service.ts";
import { withMember, withSize } from "./lost-content.ts";
import { subjectOf } from "./subject.ts";

/** Devices a board may have; further files in the folder are ignored. */
export const DEVICES_MAX = 256;
const PROBES_AT_ONCE = 8;
/** Looks at peers' disks are not repeated for so long, milliseconds: each one connects to all. */
const PEERS_FRESH_MS = 2000;

/** What the service needs. `directory` holds the file-backed devices, `*.img`. */
export interface DeviceServiceOptions {
  readonly records: DeviceRecords;
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly events: EventService;
  readonly files: DeviceFiles;
  readonly directory: string;
  /** This board's name among the others. */
  readonly here: string;
  readonly configuredPaths: readonly string[];
  readonly now: () => number;
  readonly logger: Logger;
}

/** A device as control shows it. */
export interface DeviceView extends DeviceVerdict {
  readonly record: DeviceRecord;
  readonly file: DeviceFile | null;
  readonly probe: DeviceProbe | null;
  readonly membership: Membership | null;
  /** The board that serves it; null: it is this board's own. */
  readonly board: string | null;
}

/** What is kept of a device. For a member of a running array `file` is what the array opened. */
interface Entry {
  record: DeviceRecord;
  file: DeviceFile | null;
  probe: DeviceProbe | null;
}

const slug = (path: string): string => {
  const peer = parsePeerPath(path);
  if (peer !== null) return peerDeviceId(peer);
  const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.img$/, "");
  return name.replace(/[^A-Za-z0-9._-]/g, "-").slice(0, 60) || "device";
};

/** The devices. */
export class DeviceService {
  readonly #options: DeviceServiceOptions;
  readonly #entries = new Map<string, Entry>();
  /** Paths that a verb under way has taken. */
  readonly #reserved = new Set<string>();
  #peersLookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: DeviceServiceOptions) {
    this.#options = options;
  }

  /** Reads the records, finds the files and the configured paths, and what all of them hold. */
  async load(): Promise<void> {
    for (const record of this.#options.records.list()) {
      this.#entries.set(record.path, { record, file: null, probe: null });
    }
    await this.discover();
    await this.readAll([...this.#entries.keys()]);
    this.#options.arrays.onMembersChanged((paths) => this.#onMembersChanged(paths));
  }

  /** Registers paths that are new; returns them. */
  async discover(): Promise<readonly string[]> {
    const found = [
      ...this.#options.configuredPaths,
      ...(await this.#options.files.listImages(this.#options.directory)),
      ...(this.#options.files.listPeers?.() ?? []),
    ];
    const fresh = found.filter((path) => !this.#entries.has(path));
    return fresh.filter((path) => this.#register(path) !== null);
  }

  /** Paths of every device known. */
  paths(): readonly string[] {
    return [...this.#entries.keys()];
  }

  list(): DeviceView[] {
    return [...this.#entries.values()]
      .map((entry) => this.#view(entry))
      .sort((a, b) => a.record.id.localeCompare(b.record.id));
  }

  /**
   * The device by id or path. This board's own are known by what the others call them, too: a
   * command that names BOARD.DISK is the same on every board. Errors: CONTROL_DEVICE_NOT_FOUND.
   */
  find(key: string): DeviceView {
    const entry = this.#entryOf(key) ?? this.#entryOf(this.#ownId(key));
    if (entry === undefined) {
      throw new CodedError("CONTROL_DEVICE_NOT_FOUND", `there is no device ${key}`, {
        remedy: "list the devices; only configured paths and files of the disks folder are devices",
      });
    }
    return this.#view(entry);
  }

  #entryOf(key: string | null): Entry | undefined {
    if (key === null) return undefined;
    return (
      this.#entries.get(key) ?? [...this.#entries.values()].find(({ record }) => record.id === key)
    );
  }

  /** The id of an own device in `BOARD.DISK` or `peer:BOARD/DISK`; null: it names none. */
  #ownId(key: string): string | null {
    const { here } = this.#options;
    const peer = parsePeerPath(key);
    if (peer !== null) return peer.board === here ? peer.disk : null;
    return key.startsWith(`${here}.`) ? key.slice(here.length + 1) : null;
  }

  /** The id of the device at `path`, or null. */
  idOf(path: string): string | null {
    return this.#entries.get(path)?.record.id ?? null;
  }

  /** What was last seen at `path`; for a member of a running array, what the array opened. */
  fileAt(path: string): DeviceFile | null {
    return this.#entries.get(path)?.file ?? null;
  }

  /** Notes what is at `path` now without reading it. */
  setFile(path: string, file: DeviceFile | null): void {
    const entry = this.#entries.get(path);
    if (entry !== undefined) {
      entry.file = file;
      this.#noteFile(entry);
    }
  }

  /** Reads the device anew: what is there and what it holds. */
  async read(path: string): Promise<DeviceView> {
    const entry = this.#entries.get(path);
    if (entry === undefined) {
      return this.find(path);
    }
    entry.file = await this.#options.files.identify(path);
    this.#noteFile(entry);
    entry.probe = entry.file === null ? null : await this.#options.engine.probe(path);
    this.#noteMember(entry, entry.probe?.md?.deviceUuid ?? null);
    this.#changed(entry);
    return this.#view(entry);
  }

  /** Reads several devices anew, a few at a time. */
  async readAll(paths: readonly string[]): Promise<void> {
    for (let at = 0; at < paths.length; at += PROBES_AT_ONCE) {
      await Promise.all(paths.slice(at, at + PROBES_AT_ONCE).map((path) => this.read(path)));
    }
  }

  /** Reads peers' disks anew that nobody uses here: other boards write there, and nothing tells. */
  async lookAtPeers(): Promise<void> {
    const now = this.#options.now();
    if (now - this.#peersLookedAt < PEERS_FRESH_MS) return;
    this.#peersLookedAt = now;
    const idle = this.list().filter(
      ({ board, file, membership }) => board !== null && file !== null && !membership?.running,
    );
    await this.readAll(idle.map(({ record }) => record.path));
  }

  /**
   * Takes devices for one verb, until the returned function is called: another verb that wants one
   * of them is refused. Errors: CONTROL_DEVICE_IN_USE, and then none is taken.
   */
  reserve(paths: readonly string[]): () => void {
    const taken = paths.find((path) => this.#reserved.has(path));
    if (taken !== undefined) {
      throw new CodedError("CONTROL_DEVICE_IN_USE", `${taken} is being taken by another job`, {
        remedy: "choose another device",
        details: { path: taken },
      });
    }
    for (const path of paths) {
      this.#reserved.add(path);
    }
    return () => {
      for (const path of paths) {
        this.#reserved.delete(path);
      }
    };
  }

  /** Devices whose superblock names the array, as last read. */
  carriersOf(uuid: string): DeviceView[] {
    return this.list().filter(
      (view) => view.probe?.md?.arrayUuid === uuid && view.membership?.running == null,
    );
  }

  /** Makes a file-backed device. Errors: CONTROL_NAME_TAKEN, those of `createImage`. */
  async createImage(name: string | null, sizeBytes: number): Promise<DeviceView> {
    if (this.#entries.size >= DEVICES_MAX) {
      throw new CodedError("CONTROL_DEVICES_FULL", `the board has ${DEVICES_MAX} devices already`, {
        remedy: "delete files of the disks folder that are not in use",
      });
    }
    const chosen = name ?? this.#freeName();
    const path = `${this.#options.directory}/${chosen}.img`;
    if (this.#entries.has(path)) {
      throw new CodedError("CONTROL_NAME_TAKEN", `there is a device file ${path} already`, {
        remedy: "choose another name",
      });
    }
    await this.#options.files.createImage(path, sizeBytes);
    this.#register(path);
    const view = await this.read(path);
    this.#options.events.record({
      type: "device.created",
      severity: "info",
      subject: subjectOf("device", view.record.id),
      message: `device file ${path} of ${sizeBytes} bytes made`,
      details: { path, size: sizeBytes },
    });
    return view;
  }

  setLabel(key: string, label: string | null): DeviceView {
    const { record } = this.find(key);
    const updatedAt = this.#options.now();
    this.#options.records.setLabel(record.id, label, updatedAt);
    const entry = this.#entries.get(record.path) as Entry;
    entry.record = { ...record, label, updatedAt };
    this.#changed(entry);
    return this.#view(entry);
  }

  /** The device is written anew: what it lost before counts no more. */
  trustContent(path: string): void {
    const entry = this.#entries.get(path);
    if (entry !== undefined && entry.record.lostContent !== null) {
      const { file } = entry.record;
      this.#setContent(entry, { file, lostContent: null, lostMember: null });
    }
  }

  /** Compares the file with how it was seen last, over restarts: who got shorter lost content. */
  #noteFile(entry: Entry): void {
    const { file, record } = entry;
    if (file?.kind !== "file" || parsePeerPath(record.path) !== null) {
      return;
    }
    const { identity, sizeBytes } = file;
    // Only what a running array has open is known without a look; others may have added the rest.
    const content = withSize(record, { identity, sizeBytes }, this.#openMember(record.path));
    if (content !== null) this.#setContent(entry, content);
  }

  /** What lost content and was added since, by whichever board, has lost nothing. */
  #noteMember(entry: Entry, deviceUuid: string | null): void {
    const content = withMember(entry.record, deviceUuid);
    if (content !== null) this.#setContent(entry, content);
  }

  /** Device UUID of the member that a running array has open there, or null. */
  #openMember(path: string): string | null {
    const membership = this.#options.arrays.membershipOf(path);
    if (membership?.running == null || membership.member === null) return null;
    const { states, deviceUuid } = membership.member;
    return states.includes("faulty") ? null : deviceUuid;
  }

  #setContent(entry: Entry, content: DeviceContent): void {
    entry.record = { ...entry.record, ...content };
    try {
      this.#options.records.setContent(entry.record.id, content);
    } catch (error) {
      // Known for as long as the daemon runs.
      this.#options.logger.error({ path: entry.record.path, error }, "device-record-write-failed");
    }
  }

  /** Forgets a device that is gone. Errors: CONTROL_DEVICE_NOT_GONE. */
  forget(key: string): void {
    const { record, state } = this.find(key);
    if (state !== "missing" || !this.forgetIfUnclaimed(record.path)) {
      const message = `device ${record.id} is there, configured, or a member of an array`;
      throw new CodedError("CONTROL_DEVICE_NOT_GONE", message, {
        remedy: "only a missing device that nothing names can be forgotten",
        details: { device: record.id, state },
      });
    }
  }

  /** Forgets a device that is gone, unless an array or the configuration names it. */
  forgetIfUnclaimed(path: string): boolean {
    const entry = this.#entries.get(path);
    if (
      entry === undefined ||
      this.#options.configuredPaths.includes(path) ||
      this.#options.arrays.membershipOf(path) !== null
    ) {
      return false;
    }
    this.#entries.delete(path);
    this.#options.records.remove(entry.record.id);
    this.#options.events.changed("device", entry.record.id, true);
    return true;
  }

  /** The entry of a path, made when it is new: a file is found while it is being made, too. */
  #register(path: string): Entry | null {
    const known = this.#entries.get(path);
    if (known !== undefined) {
      return known;
    }
    if (this.#entries.size >= DEVICES_MAX) {
      return null;
    }
    const taken = new Set([...this.#entries.values()].map((entry) => entry.record.id));
    const base = slug(path);
    let id = base;
    for (let suffix = 2; taken.has(id); suffix += 1) {
      id = `${base}-${suffix}`;
    }
    const now = this.#options.now();
    const record: DeviceRecord = {
      id,
      path,
      label: null,
      lostContent: null,
      lostMember: null,
      file: null,
      createdAt: now,
      updatedAt: now,
    };
    try {
      this.#options.records.add(record);
    } catch (error) {
      // The device is usable all the same; its id may be another after the next start.
      this.#options.logger.error({ path, error }, "device-record-write-failed");
    }
    const entry: Entry = { record, file: null, probe: null };
    this.#entries.set(path, entry);
    return entry;
  }

  #freeName(): string {
    const taken = new Set(this.list().map((view) => view.record.id));
    let number = 1;
    while (taken.has(`disk${number}`)) {
      number += 1;
    }
    return `disk${number}`;
  }

  #view(entry: Entry): DeviceView {
    const { file, probe } = entry;
    const membership = this.#options.arrays.membershipOf(entry.record.path);
    const uuid = probe?.md?.arrayUuid ?? null;
    const isStale =
      membership === null && uuid !== null && this.#options.arrays.get(uuid)?.isRunning === true;
    const peer = parsePeerPath(entry.record.path);
    // Each board knows of its own disks, and tells the others.
    const told = peer === null ? null : (this.#options.files.lossOf?.(entry.record.path) ?? null);
    const record = peer === null ? entry.record : { ...entry.record, lostContent: told };
    const { lostContent } = record;
    return {
      record,
      file,
      probe,
      membership,
      board: peer?.board ?? null,
      ...deviceState({ path: record.path, file, probe, membership, isStale, lostContent }),
    };
  }

  #changed(entry: Entry): void {
    this.#options.events.changed("device", entry.record.id);
  }

  /** Devices that left an array may be read again; all of them look different now. */
  #onMembersChanged(paths: readonly string[]): void {
    for (const path of paths) {
      const entry = this.#entries.get(path);
      if (entry === undefined) {
        continue;
      }
      this.#changed(entry);
      this.#noteMember(entry, this.#openMember(path));
      const membership = this.#options.arrays.membershipOf(path);
      if (membership === null || membership.running === null) {
        this.read(path).catch((error: unknown) => {
          this.#options.logger.warn({ path, error }, "device-read-failed");
        });
      }
    }
  }
}
