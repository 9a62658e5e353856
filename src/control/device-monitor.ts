/**
 * Watches the devices by looking at their paths once per tick: tells an array at once when a
 * member's file vanished, was cut or replaced, and starts arrays whose members appear.
 * A tick reads no device's content except after a change.
 */

import type { Logger } from "../common/log.ts";
import type { DeviceFile, DeviceFiles } from "../hal/device-files.ts";
import type { MemberStatus } from "../raid/array-status.ts";
import type { ArrayService, Membership } from "./array-service.ts";
import type { DeviceService } from "./device-service.ts";
import { lossReason } from "./device-state.ts";
import type { RunningArray } from "./engine.ts";
import type { EventService } from "./event-service.ts";
import { subjectOf } from "./subject.ts";
import { survivesNow } from "./survival.ts";

/** Time between ticks: a lost member is noticed within a second. */
export const DEVICE_TICK_MS = 500;

/** What the monitor needs. `onAppeared` is told of devices that are there, after reading. */
export interface DeviceMonitorOptions {
  readonly devices: DeviceService;
  readonly arrays: ArrayService;
  readonly events: EventService;
  readonly files: DeviceFiles;
  readonly onAppeared: (path: string) => Promise<void>;
  readonly logger: Logger;
}

/** A member that is gone from its path while its array goes on with it. */
interface Loss {
  readonly running: RunningArray;
  readonly deviceUuid: string | null;
  /** The file that the array has open. */
  readonly opened: DeviceFile | null;
  readonly reason: string;
}

/** The watch over the devices. */
export class DeviceMonitor {
  readonly #options: DeviceMonitorOptions;
  /** Paths whose last look failed, to log it once. */
  readonly #failing = new Set<string>();
  /** Members that are lost and that their arrays cannot do without, by path. */
  readonly #lost = new Map<string, Loss>();
  #timer: NodeJS.Timeout | null = null;
  #tick: Promise<void> | null = null;

  constructor(options: DeviceMonitorOptions) {
    this.#options = options;
  }

  /** Ticks every `DEVICE_TICK_MS` from now on; a tick that takes longer delays the next. */
  start(): void {
    this.#timer ??= setInterval(() => {
      this.tick().catch((error: unknown) => {
        this.#options.logger.error({ error }, "device-watch-failed");
      });
    }, DEVICE_TICK_MS);
    this.#timer.unref();
  }

  /** Ends the watch; resolves when the tick under way is over. */
  async stop(): Promise<void> {
    if (this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
    await this.#tick?.catch(() => undefined);
  }

  /** Looks at every device once. Calls made during a tick join it. */
  tick(): Promise<void> {
    this.#tick ??= this.#lookAtAll().finally(() => {
      this.#tick = null;
    });
    return this.#tick;
  }

  async #lookAtAll(): Promise<void> {
    const { devices, files } = this.#options;
    await this.#guarded("", async () => {
      await devices.discover();
    });
    const looks = devices.paths().map((path) =>
      this.#guarded(path, async () => {
        await this.#compare(path, await files.identify(path));
      }),
    );
    await Promise.all(looks);
  }

  /** One path that cannot be looked at does not blind the watch over the others. */
  async #guarded(path: string, look: () => Promise<void>): Promise<void> {
    try {
      await look();
      this.#failing.delete(path);
    } catch (error) {
      if (!this.#failing.has(path)) {
        this.#failing.add(path);
        this.#options.logger.warn({ path, error }, "device-look-failed");
      }
    }
  }

  async #compare(path: string, now: DeviceFile | null): Promise<void> {
    const { devices, arrays } = this.#options;
    const before = devices.fileAt(path);
    const membership = arrays.membershipOf(path);
    if (isHeldOpen(membership)) {
      await this.#compareOpen(path, now, membership);
      return;
    }
    this.#lost.delete(path);
    if (before === null && now !== null) {
      await this.#appeared(path);
    } else if (before !== null && now === null) {
      await devices.read(path);
      this.#record(path, "device.missing", `${path} is gone`);
      devices.forgetIfUnclaimed(path);
    } else if (before !== null && now !== null && !isSame(before, now)) {
      await devices.read(path);
    }
  }

  /**
   * A lost member is told to its array at every look: the last one in sync stays in use, and is
   * failed as soon as another one is. The event is recorded once.
   */
  async #compareOpen(path: string, now: DeviceFile | null, held: HeldOpen): Promise<void> {
    const { devices, arrays } = this.#options;
    const { running, member, uuid } = held;
    const known = this.#lost.get(path);
    const isSameLoss = known?.running === running && known.deviceUuid === member.deviceUuid;
    const before = devices.fileAt(path);
    const opened = isSameLoss ? known.opened : before;
    const reason = lossReason(opened, now);
    if (reason === null) {
      if (isSameLoss) this.#record(path, "device.appeared", `${path} is there again`);
      // A loss of before, too: the member may have failed and returned since.
      arrays.noteLoss(uuid, path, null);
      this.#lost.delete(path);
      if (isSameLoss || before === null) devices.setFile(path, now);
      return;
    }
    devices.setFile(path, now);
    await running.memberVanished(path, reason);
    if (!isSameLoss || known.reason !== reason) {
      this.#record(path, "device.missing", `${path}: ${reason}`);
    }
    this.#lost.set(path, { running, deviceUuid: member.deviceUuid, opened, reason });
    // The array has had a look's time to fail it, and cannot do without it.
    if (isSameLoss && survivesNow(running.status) === 0) arrays.noteLoss(uuid, path, reason);
  }

  async #appeared(path: string): Promise<void> {
    const view = await this.#options.devices.read(path);
    this.#record(path, "device.appeared", `${path} is there: ${view.state}`);
    await this.#options.onAppeared(path);
  }

  #record(path: string, type: string, message: string): void {
    const id = this.#options.devices.idOf(path);
    this.#options.events.record({
      type,
      severity: type === "device.missing" ? "warning" : "info",
      subject: subjectOf("device", id ?? path),
      message,
      details: { path },
    });
    if (id !== null) {
      this.#options.events.changed("device", id);
    }
  }
}

type HeldOpen = Membership & { readonly running: RunningArray; readonly member: MemberStatus };

/** True for a member that a running array has open. */
const isHeldOpen = (membership: Membership | null): membership is HeldOpen =>
  membership?.running != null &&
  membership.member !== null &&
  !membership.member.states.includes("faulty");

const isSame = (before: DeviceFile, now: DeviceFile): boolean =>
  before.identity === now.identity &&
  before.sizeBytes === now.sizeBytes &&
  before.changedAt === now.changedAt;
