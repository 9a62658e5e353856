/**
 * Disks of this board that belong to an array of its cluster and are not used by it, because the
 * board or the disk was away: the board brings them back by itself. By the bitmaps, so that only
 * what was written meanwhile is copied, or else whole. Never what an administrator put aside, what
 * ran apart from the array, or what fails requests.
 */

import { type ClusterView, ranApartByForce } from "../cluster/node/cluster-view.ts";
import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { ArrayHappening } from "../raid/array-status.ts";
import { parseUuid, uuidToHex } from "../raid/uuid.ts";
import type { ArrayService } from "./array-service.ts";
import type { ArrayView } from "./array-view.ts";
import type { DeviceService, DeviceView } from "./device-service.ts";
import { isAwayReason } from "./device-state.ts";
import type { StorageEngine } from "./engine.ts";
import type { EventService } from "./event-service.ts";
import type { MemberCommands, TakenBack } from "./member-commands.ts";
import { subjectOf } from "./subject.ts";

/** What the service needs. */
export interface MemberReturnsOptions {
  readonly engine: StorageEngine;
  readonly arrays: ArrayService;
  readonly devices: DeviceService;
  readonly commands: MemberCommands;
  readonly events: EventService;
  readonly now: () => number;
  readonly logger: Logger;
}

/** Pauses between attempts, milliseconds. */
const PAUSE_MIN_MS = 1000;
const PAUSE_MAX_MS = 30_000;
/** A disk that fails again each time it is back is left alone for as long. Choice. */
const RETURNS_MAX = 3;
const RETURNS_MS = 10 * 60_000;

const MIB = 2 ** 20;

/** One disk on its way. */
interface Attempt {
  pauseMs: number;
  nextAt: number;
  /** When it came back lately. */
  returns: readonly number[];
  /** Refusal that was told last. */
  told: string;
  /** What the bitmaps marked when it was re-added last. */
  marked: Counts | null;
}

interface Counts {
  readonly copied: number;
  readonly skipped: number;
}

/** A disk that is being rebuilt since it came back. */
interface Rebuild extends TakenBack {
  readonly path: string;
}

/** The disk is this board's, holds a member of the array, and nobody uses it for what it holds. */
export function isAway(device: DeviceView, array: ArrayView): boolean {
  const { board, file, probe, membership } = device;
  if (board !== null || file === null || probe?.md?.arrayUuid !== array.record.uuid) return false;
  if (membership === null) return true;
  const { member } = membership;
  if (membership.uuid !== array.record.uuid || !member?.states.includes("faulty")) return false;
  return isAwayReason(member.faultReason ?? "");
}

/** Why a disk that is away is left to an administrator; null: it is not. */
export function isLeftAlone(
  md: { readonly deviceUuid: string; readonly events: number },
  view: Pick<ClusterView, "aside" | "forced">,
): boolean {
  const uuid = parseUuid(md.deviceUuid);
  if (uuid === null || view.aside.includes(uuidToHex(uuid))) return true;
  return ranApartByForce(md.events, view);
}

const countsText = ({ copied, skipped }: Counts): string =>
  `${(copied / MIB).toFixed(1)} MiB copied, ${(skipped / MIB).toFixed(1)} MiB skipped`;

const countsOf = (copied: unknown, skipped: unknown): Counts | null =>
  typeof copied === "number" && typeof skipped === "number" ? { copied, skipped } : null;

const returnText = (counts: Counts | null, marked: Counts | null): string => {
  if (counts !== null) return countsText(counts);
  if (marked === null) return "another board has copied it whole";
  return `another board has rebuilt it, about ${countsText(marked)}`;
};

/** The members that return. */
export class MemberReturns {
  readonly #options: MemberReturnsOptions;
  readonly #attempts = new Map<string, Attempt>();
  /** By uuid of the array. */
  readonly #rebuilds = new Map<string, Rebuild>();
  /** Arrays that are being looked at. */
  readonly #busy = new Set<string>();

  constructor(options: MemberReturnsOptions) {
    this.#options = options;
  }

  /** Listens to the engine. */
  load(): void {
    this.#options.engine.onHappening((uuid, happening) => this.#onHappening(uuid, happening));
  }

  /** Brings back what is away, one disk of each array at a time. Never rejects. */
  async tick(): Promise<void> {
    const { engine, arrays } = this.#options;
    if (engine.peers === null) return;
    this.#forget();
    await Promise.all(arrays.list().map((array) => this.#lookOnce(array)));
  }

  /** A look that still waits for other boards is not joined by another one. */
  async #lookOnce(array: ArrayView): Promise<void> {
    const { uuid } = array.record;
    if (this.#busy.has(uuid)) return;
    this.#busy.add(uuid);
    try {
      await this.#lookAt(array);
    } catch (error) {
      this.#options.logger.error({ array: uuid, error }, "member-return-failed");
    } finally {
      this.#busy.delete(uuid);
    }
  }

  async #lookAt(array: ArrayView): Promise<void> {
    const { arrays, devices, now } = this.#options;
    const { status, isRunning, record } = array;
    if (!isRunning || status?.bitmap.type !== "clustered" || record.readOnly) return;
    if (status.peers?.phase !== "entered" || this.#rebuilds.has(record.uuid)) {
      this.#lookForEnd(array);
      return;
    }
    const away = devices.list().find((device) => isAway(device, array) && this.#isDue(device));
    if (away?.probe?.md == null) return;
    const view = await arrays.findRunning(record.uuid).running.clusterView();
    if (view === null || isLeftAlone(away.probe.md, view)) {
      this.#attempt(away.record.path).nextAt = now() + PAUSE_MAX_MS;
      return;
    }
    await this.#bringBack(array, away.record.path);
  }

  #isDue({ record: { id, path } }: DeviceView): boolean {
    const { engine } = this.#options;
    if (engine.peers?.gate().draining.includes(id)) return false;
    const now = this.#options.now();
    const { nextAt, returns } = this.#attempt(path);
    const lately = returns.filter((at) => now - at < RETURNS_MS);
    return now >= nextAt && lately.length < RETURNS_MAX;
  }

  #attempt(path: string): Attempt {
    const known = this.#attempts.get(path);
    if (known !== undefined) return known;
    const attempt = { pauseMs: PAUSE_MIN_MS, nextAt: 0, returns: [], told: "", marked: null };
    this.#attempts.set(path, attempt);
    return attempt;
  }

  async #bringBack({ record: { uuid, name } }: ArrayView, path: string): Promise<void> {
    const { commands, events, now, logger } = this.#options;
    const attempt = this.#attempt(path);
    attempt.nextAt = now() + attempt.pauseMs;
    attempt.pauseMs = Math.min(2 * attempt.pauseMs, PAUSE_MAX_MS);
    try {
      const taken = await commands.takeBack(uuid, path);
      attempt.returns = [...attempt.returns, now()].slice(-RETURNS_MAX);
      attempt.pauseMs = PAUSE_MIN_MS;
      attempt.told = "";
      this.#rebuilds.set(uuid, { path, ...taken });
      logger.info({ array: uuid, path, ...taken }, "member-returns");
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      logger.warn({ array: uuid, path, error }, "member-return-refused");
      const isForPeople = error.code === "CONTROL_MEMBER_RAN_APART" && attempt.told !== error.code;
      attempt.told = error.code;
      if (!isForPeople) return;
      events.record({
        type: "member.return-refused",
        severity: "warning",
        subject: subjectOf("array", uuid),
        message: `${path} is not brought back into array ${name}: ${error.message}`,
        details: { path, code: error.code, remedy: error.remedy },
      });
    }
  }

  /** The rebuild may be another node's: then its end shows in the status alone. */
  #lookForEnd({ record, status }: ArrayView): void {
    const rebuild = this.#rebuilds.get(record.uuid);
    const member = status?.members.find(({ path }) => path === rebuild?.path);
    if (rebuild === undefined || member?.states.includes("rebuilding")) return;
    this.#rebuilds.delete(record.uuid);
    if (member?.states.includes("in_sync")) this.#tellBack(record, rebuild, null);
  }

  #onHappening(uuid: string, { type, details }: ArrayHappening): void {
    if (type === "member.readded") this.#noteMarked(details);
    const rebuild = this.#rebuilds.get(uuid);
    const record = this.#options.arrays.get(uuid)?.record;
    if (type !== "sync.finished" || rebuild === undefined || record === undefined) return;
    if (details["action"] !== "recover" || details["outcome"] !== "done") return;
    this.#rebuilds.delete(uuid);
    this.#tellBack(record, rebuild, countsOf(details["copied_bytes"], details["skipped_bytes"]));
  }

  /** If another board copies, nobody tells how much; the bitmaps tell it well enough. */
  #noteMarked({ path, marked_bytes: marked, member_bytes: all }: ArrayHappening["details"]): void {
    const attempt = typeof path === "string" ? this.#attempts.get(path) : undefined;
    if (attempt === undefined || typeof marked !== "number" || typeof all !== "number") return;
    attempt.marked = { copied: marked, skipped: all - marked };
  }

  /** `counts`: null when another board has copied. */
  #tellBack(
    { uuid, name }: ArrayView["record"],
    { path, how, why }: Rebuild,
    counts: Counts | null,
  ): void {
    const marked = how === "re-add" ? (this.#attempts.get(path)?.marked ?? null) : null;
    const known = counts ?? marked;
    this.#options.events.record({
      type: "member.returned",
      severity: "info",
      subject: subjectOf("array", uuid),
      message: `${path} is back in array ${name}: ${returnText(counts, marked)}${why === null ? "" : ` (${why})`}`,
      details: {
        path,
        how,
        why,
        copied_bytes: known?.copied ?? null,
        skipped_bytes: known?.skipped ?? null,
        is_estimate: counts === null && known !== null,
      },
    });
  }

  /** Of disks that are no devices of the board any more, and arrays that do not run here. */
  #forget(): void {
    const { arrays, devices } = this.#options;
    for (const path of this.#attempts.keys())
      if (devices.idOf(path) === null) this.#attempts.delete(path);
    for (const uuid of this.#rebuilds.keys())
      if (arrays.get(uuid)?.isRunning !== true) this.#rebuilds.delete(uuid);
  }
}
