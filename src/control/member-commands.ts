/** The verbs on members: add, fail, remove, re-add, replace, flags, in mdadm's meaning. */

import { CodedError, fromPlainError } from "../common/errors.ts";
import type { ArrayStatus } from "../raid/array-status.ts";
import { refuseUnfit } from "./array-plan.ts";
import type { ArrayService } from "./array-service.ts";
import { refusePeersDisks } from "./cluster-check.ts";
import type { DeviceService, DeviceView } from "./device-service.ts";
import type { RunningArray, StorageEngine } from "./engine.ts";
import type { Job } from "./job.ts";
import type { JobOutcome, JobService, NewJob } from "./job-service.ts";
import { type MemberFlags, refuseFlags } from "./member-flags.ts";
import { asksSuperblocks, ranApartProblem } from "./newest-copy.ts";
import { type ScrubCommands, wholeExtent } from "./scrub-commands.ts";
import { subjectOf } from "./subject.ts";

/** What the commands need. */
export interface MemberCommandsOptions {
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly jobs: JobService;
  readonly actions: ScrubCommands;
}

/** What to change of an array's sync; absent fields stay. Speeds are bytes per second. */
export interface SyncChange {
  readonly action?: "idle" | "check" | "repair" | "frozen";
  /** Where a check or repair begins and ends, bytes of the array. */
  readonly from?: number;
  readonly to?: number;
  readonly speedMin?: number;
  readonly speedMax?: number;
}

/** How a device joins. `force`: what it holds may be lost. */
export interface AddOrder extends MemberFlags {
  readonly force: boolean;
}

/** A member's unit of writing must not be larger than the array's: that is settled for good. */
const refuseSectors = (device: DeviceView, { logicalBlockBytes, name }: ArrayStatus): void => {
  const sectors = device.probe?.logicalBlockSize ?? logicalBlockBytes;
  if (sectors > logicalBlockBytes) {
    const message = `device ${device.record.id} has sectors of ${sectors} bytes, array ${name} of ${logicalBlockBytes}`;
    throw new CodedError("RAID_SECTOR_SIZE_MISMATCH", message, {
      remedy: "use a device with sectors like those of the other members",
      details: { device: device.record.id, needed: logicalBlockBytes, available: sectors },
    });
  }
};

const notAMember = (device: string, array: string): CodedError =>
  new CodedError("CONTROL_MEMBER_NOT_FOUND", `device ${device} is no member of array ${array}`, {
    remedy: "list the members of the array",
  });

/** How a member that was away came back; `why` it is copied whole, null: by the bitmaps. */
export interface TakenBack {
  readonly how: "re-add" | "add";
  readonly why: string | null;
}

/** Why its bitmaps do not tell all that it lacks; null: it is re-added. Errors: the engine's. */
const reAddRefusal = async (running: RunningArray, path: string): Promise<string | null> => {
  try {
    await running.reAdd(path);
    return null;
  } catch (error) {
    if (error instanceof CodedError && error.code === "RAID_RE_ADD_REFUSED") return error.message;
    throw error;
  }
};

/** Add, fail, remove, re-add, replace, flags, and the sync action. */
export class MemberCommands {
  readonly #options: MemberCommandsOptions;

  constructor(options: MemberCommandsOptions) {
    this.#options = options;
  }

  /**
   * Adds a device, as a job. Errors: those of `refuseUnfit`, CONTROL_PEERS_DISK,
   * RAID_SECTOR_SIZE_MISMATCH, RAID_FLAG_UNSUPPORTED, CONTROL_MEMBER_RAN_APART; the job's: the
   * engine's.
   */
  async add(arrayKey: string, deviceKey: string, order: AddOrder, actor: string): Promise<Job> {
    const { arrays, devices } = this.#options;
    const { view, running } = arrays.findRunning(arrayKey);
    const { level, bitmap } = running.status;
    refuseFlags({ level, bitmap: bitmap.type }, order);
    const device = await devices.read(devices.find(deviceKey).record.path);
    if (bitmap.type !== "clustered") refusePeersDisks([device.record.path]);
    // What an old member of this array holds is the array's own content.
    const isOwn = device.probe?.md?.arrayUuid === view.record.uuid;
    refuseUnfit(device, order.force || isOwn);
    refuseSectors(device, running.status);
    if (isOwn && !order.force) await this.#refuseApart(running, device.record.path);
    const { path, lostContent } = device.record;
    return this.#job("member.add", view.record.uuid, actor, async () => {
      const release = devices.reserve([path]);
      try {
        // Another verb may have taken it for good since it was read.
        refuseUnfit(devices.find(path), order.force || isOwn);
        await running.add(path, { ...order, distrust: lostContent !== null });
        devices.trustContent(path);
      } finally {
        release();
      }
    });
  }

  /**
   * Takes back a member that was here before, as a job. Errors: RAID_RE_ADD_REFUSED for one that
   * lost content meanwhile, without `force` CONTROL_MEMBER_RAN_APART; the job's: the engine's.
   */
  async reAdd(
    arrayKey: string,
    deviceKey: string,
    order: { readonly force: boolean },
    actor: string,
  ): Promise<Job> {
    const { arrays, devices } = this.#options;
    const { view, running } = arrays.findRunning(arrayKey);
    const device = devices.find(deviceKey);
    const { id, lostContent } = device.record;
    if (lostContent !== null) {
      throw new CodedError("RAID_RE_ADD_REFUSED", `${id} cannot be re-added: ${lostContent}`, {
        remedy: "bring it back to its size and add it: it is then rebuilt whole",
        details: { device: id },
      });
    }
    if (!order.force) await this.#refuseApart(running, device.record.path);
    return this.#job("member.re-add", view.record.uuid, actor, () =>
      running.reAdd(device.record.path),
    );
  }

  /**
   * Takes back a member that was away, by itself: by the bitmaps, else whole. Nothing that the
   * array never had is lost. Errors: CONTROL_MEMBER_NOT_FOUND, CONTROL_MEMBER_RAN_APART,
   * CONTROL_ARRAY_BUSY, the engine's.
   */
  async takeBack(uuid: string, path: string): Promise<TakenBack> {
    const { arrays, devices } = this.#options;
    const { running } = arrays.findRunning(uuid);
    const device = await devices.read(path);
    if (device.probe?.md?.arrayUuid !== uuid) throw notAMember(path, running.status.name);
    refuseSectors(device, running.status);
    const { events } = device.probe.md;
    const known = await running.clusterView();
    if (known === null || asksSuperblocks(events, running.status.events, known))
      await this.#refuseApart(running, path);
    const { lostContent } = device.record;
    return await arrays.exclusively(uuid, "the return of a member", async () => {
      const release = devices.reserve([path]);
      try {
        const why = lostContent ?? (await reAddRefusal(running, path));
        if (why === null) return { how: "re-add", why };
        await running.add(path, { force: false, distrust: lostContent !== null });
        devices.trustContent(path);
        return { how: "add", why };
      } finally {
        release();
      }
    });
  }

  /**
   * Writes a spare beside a member until it can take the raid slot, as a job: the given device, or
   * any spare. Errors: CONTROL_MEMBER_NOT_FOUND, RAID_NOT_A_SPARE; the job's: the engine's.
   */
  replace(arrayKey: string, deviceKey: string, withKey: string | null, actor: string): Job {
    const { view, running } = this.#options.arrays.findRunning(arrayKey);
    const { uuid, name } = view.record;
    const member = this.#member(uuid, deviceKey);
    const spare = withKey === null ? null : this.#options.devices.find(withKey);
    if (spare !== null && !(spare.membership?.uuid === uuid && spare.state === "spare")) {
      throw new CodedError("RAID_NOT_A_SPARE", `device ${spare.record.id} is no spare of ${name}`, {
        remedy: "add it first, or leave the choice of the spare to the array",
        details: { device: spare.record.id, state: spare.state },
      });
    }
    return this.#job("member.replace", uuid, actor, () =>
      running.replace(member.record.path, spare === null ? null : spare.record.path),
    );
  }

  /** Sets or clears flags. Errors: CONTROL_MEMBER_NOT_FOUND, RAID_FLAG_UNSUPPORTED. */
  async setFlags(arrayKey: string, deviceKey: string, flags: MemberFlags): Promise<void> {
    const { view, running } = this.#options.arrays.findRunning(arrayKey);
    const device = this.#member(view.record.uuid, deviceKey);
    const { level, bitmap } = running.status;
    refuseFlags({ level, bitmap: bitmap.type }, flags);
    await this.#options.arrays.exclusively(view.record.uuid, "a change of flags", () =>
      running.setMemberFlags(device.record.path, flags),
    );
  }

  /** Marks a member faulty. Errors: CONTROL_MEMBER_NOT_FOUND, RAID_LAST_IN_SYNC_MEMBER. */
  async fail(arrayKey: string, deviceKey: string): Promise<void> {
    const { view, running } = this.#options.arrays.findRunning(arrayKey);
    const device = this.#member(view.record.uuid, deviceKey);
    await this.#options.arrays.exclusively(view.record.uuid, "a fail", () =>
      running.fail(device.record.path),
    );
  }

  /** Takes a faulty member or spare out. Errors: CONTROL_MEMBER_NOT_FOUND, the engine's. */
  async remove(arrayKey: string, deviceKey: string): Promise<void> {
    const { view, running } = this.#options.arrays.findRunning(arrayKey);
    const device = this.#member(view.record.uuid, deviceKey);
    await this.#options.arrays.exclusively(view.record.uuid, "a remove", () =>
      running.remove(device.record.path),
    );
  }

  /** Sets speed limits, then the action. Errors: CONTROL_SPEED_ORDER, the engine's. */
  async setSync(arrayKey: string, change: SyncChange, actor: string): Promise<void> {
    const { arrays, actions } = this.#options;
    const { view } = arrays.findRunning(arrayKey);
    if (change.speedMin !== undefined || change.speedMax !== undefined) {
      await arrays.setSyncSpeed(view.record.uuid, {
        ...(change.speedMin === undefined ? {} : { min: change.speedMin }),
        ...(change.speedMax === undefined ? {} : { max: change.speedMax }),
      });
    }
    if (change.action !== undefined) {
      const extent = wholeExtent(change.from, change.to);
      await actions.setAction(view.record.uuid, change.action, extent, actor);
    }
  }

  /** The array may have been started without the newest copy, which this device then is. */
  async #refuseApart({ status }: RunningArray, path: string): Promise<void> {
    const here = status.members.flatMap(({ path: of, states }) =>
      of !== null && states.includes("in_sync") ? [of] : [],
    );
    const { engine } = this.#options;
    const report = await engine.examine([...here, path]);
    const marked = await engine.markedBytes(path);
    const problem = ranApartProblem(status, report, path, marked);
    if (problem === null) return;
    // Whoever goes on apart from a member records that it failed. One that was in use with it, and
    // is still in sync, has seen all that was written: others failed, and came back, meanwhile.
    for (const one of here) {
      const beside = await engine.examine([one, path]);
      if (ranApartProblem(status, beside, path, marked) === null) return;
    }
    const { code, message, remedy, members } = problem;
    throw fromPlainError({ code, message, remedy, details: { members, marked_bytes: marked } });
  }

  #member(uuid: string, deviceKey: string): DeviceView {
    const { arrays, devices } = this.#options;
    const device = devices.find(deviceKey);
    if (arrays.membershipOf(device.record.path)?.uuid !== uuid) {
      throw notAMember(device.record.id, arrays.get(uuid)?.record.name ?? uuid);
    }
    return device;
  }

  #job(kind: NewJob["kind"], uuid: string, createdBy: string, work: () => Promise<void>): Job {
    const { arrays, jobs } = this.#options;
    const subject = subjectOf("array", uuid);
    return jobs.run({ kind, subject, createdBy }, async (): Promise<JobOutcome> => {
      await arrays.exclusively(uuid, kind, work);
      return { result: { array_id: uuid } };
    });
  }
}
