/**
 * Arrays found in superblocks that do not run here, made by this board or by any Linux, and taking
 * one over where it is: nothing is written before it starts.
 */

import { CodedError, fromPlainError } from "../common/errors.ts";
import type { AssemblyReport } from "../raid/assembly-status.ts";
import type { ArrayCommands } from "./array-commands.ts";
import type { ArrayService } from "./array-service.ts";
import { refusePeersDisks } from "./cluster-check.ts";
import type { DeviceService, DeviceView } from "./device-service.ts";
import type { StorageEngine } from "./engine.ts";
import type { ExportService } from "./export-service.ts";
import type { Job } from "./job.ts";

/** What import needs. */
export interface ArrayImportOptions {
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly exports: ExportService;
  readonly commands: ArrayCommands;
}

/** Superblocks of one array found on devices, while it does not run. */
export interface ArrayCandidate {
  readonly uuid: string;
  readonly isRegistered: boolean;
  readonly members: readonly DeviceView[];
  /** What starting it would come to. */
  readonly report: AssemblyReport;
}

/** How to take an array over. */
export interface ImportOrder {
  /** Ids or paths of its members. */
  readonly devices: readonly string[];
  readonly readOnly: boolean;
  /** Start it though a member is missing that the others believe working, as mdadm --run. */
  readonly run: boolean;
  /** Name of an NBD export to make; null for none. */
  readonly exportName: string | null;
}

/** Finding and taking over. */
export class ArrayImport {
  readonly #options: ArrayImportOptions;

  constructor(options: ArrayImportOptions) {
    this.#options = options;
  }

  /** Arrays that superblocks name and that do not run, as the devices were read last. */
  async candidates(): Promise<ArrayCandidate[]> {
    const { arrays, commands, devices, engine } = this.#options;
    await devices.lookAtPeers();
    const found = commands
      .foundUuids()
      .map((uuid) => ({ uuid, members: devices.carriersOf(uuid) }))
      .filter(({ members }) => members.length > 0);
    const list: ArrayCandidate[] = [];
    for (const { uuid, members } of found) {
      const report = await engine.examine(members.map(({ record }) => record.path));
      list.push({ uuid, isRegistered: arrays.get(uuid) !== null, members, report });
    }
    return list;
  }

  /**
   * Starts the array that these devices hold, as a job. Errors before anything is started:
   * CONTROL_NOT_ONE_ARRAY, CONTROL_ARRAY_RUNNING, CONTROL_ARRAY_INCOMPLETE, CONTROL_NAME_TAKEN,
   * CONTROL_PEERS_DISK, and the reason of assembly (RAID_UNSUPPORTED_METADATA,
   * RAID_UNSUPPORTED_LEVEL …).
   */
  async take(order: ImportOrder, actor: string): Promise<Job> {
    const { arrays, commands, devices, engine, exports } = this.#options;
    const paths = [...new Set(order.devices.map((key) => devices.find(key).record.path))];
    await devices.readAll(paths);
    const uuid = this.#oneArray(paths);
    commands.refuseRunning(uuid);
    this.#refuseName(order.exportName);
    const report = await engine.examine(paths);
    this.#refuseUnfit(report, order);
    if (!order.readOnly && report.array?.bitmap.type !== "clustered") refusePeersDisks(paths);
    return commands.startAsJob(uuid, order, actor, {
      paths: async () => paths,
      afterStart: async () => {
        if (order.exportName !== null) {
          await exports.create({
            name: order.exportName,
            array: arrays.find(uuid).record.uuid,
            description: "",
            readOnly: order.readOnly,
            tlsRequired: false,
          });
        }
      },
    });
  }

  #oneArray(paths: readonly string[]): string {
    const { devices } = this.#options;
    const found = new Set(paths.map((path) => devices.find(path).probe?.md?.arrayUuid ?? null));
    const [uuid] = found;
    if (found.size !== 1 || uuid === null || uuid === undefined) {
      const message = "the devices do not all hold members of one array";
      throw new CodedError("CONTROL_NOT_ONE_ARRAY", message, {
        remedy: "give only devices whose superblocks name the same array; see the candidates",
        details: { arrays: [...found] },
      });
    }
    return uuid;
  }

  #refuseName(name: string | null): void {
    if (this.#options.exports.list().some(({ record }) => record.name === name)) {
      throw new CodedError("CONTROL_NAME_TAKEN", `there is an export ${name} already`, {
        remedy: "choose another name",
      });
    }
  }

  #refuseUnfit(report: AssemblyReport, order: ImportOrder): void {
    const members = report.members.map(({ path, reason, text }) => ({ path, reason, text }));
    const { refusal } = report;
    if (refusal !== null && !(order.readOnly && refusal.code === "RAID_CLUSTERED_ARRAY")) {
      const { code, message, remedy } = refusal;
      throw fromPlainError({ code, message, remedy, details: { members } });
    }
    if (!report.isComplete && !order.run) {
      const message =
        "a member that the others believe working is not among the devices: what it holds may be newer";
      throw new CodedError("CONTROL_ARRAY_INCOMPLETE", message, {
        remedy: "give every member, or ask with run (--run) to start it without",
        details: { members, degraded: report.degraded },
      });
    }
  }
}
