/**
 * Watches the devices by looking at their paths once per tick: tells an array at once when a
 * member's file vanished, was cut or replaced, and starts arrays whose members appear.
 * A tick reads no device's content except after a change.
 */

import type { Logger } from "../common/log.ts";
import type { DeviceFile, DeviceFiles } from "../hal/device-files.ts";
import type { ArrayService } from "./array-service.ts";
import type { DeviceService } from "./device-service.ts";
import { lossReason } from "./device-state.ts";
import type { EventService } from "./event-service.ts";
import { subjectOf } from "./subject.ts";

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

/** The watch over the devices. */
export class DeviceMonitor {
  readonly #options: DeviceMonitorOptions;
  /** Paths whose last look failed, to log it once. */
  readonly #failing = new Set<string>();
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
    const isOpen =
      membership?.running != null && membership.member?.states.includes("faulty") !== true;
    if (isOpen) {
      const reason = lossReason(before, now);
      if (reason !== null) {
        devices.setFile(path, now);
        await membership.running?.memberVanished(path, reason);
        this.#record(path, "device.missing", `${path}: ${reason}`);
      } else if (before === null) {
        devices.setFile(path, now);
      }
      return;
    }
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

const isSame = (before: DeviceFile, now: DeviceFile): boolean =>
  before.identity === now.identity &&
  before.sizeBytes === now.sizeBytes &&
  before.changedAt === now.changedAt;
