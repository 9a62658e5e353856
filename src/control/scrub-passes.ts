/**
 * The scrubs of all arrays: keeps each one's position, counts and end as the engine's news comes
 * in, and says what becomes of the job when its sync action ends early.
 */

import type { Logger } from "../common/log.ts";
import type { ArrayStatus, SyncActionWord, SyncStatus } from "../raid/array-status.ts";
import type { ScrubRecords } from "../store/scrub-records.ts";
import { isFinished, isWhole, joinRanges, type ScrubAction, type ScrubPass } from "./scrub-pass.ts";
import type { EndJudge, JobHold } from "./sync-jobs.ts";

/** What the passes need. */
export interface ScrubPassesOptions {
  readonly records: ScrubRecords;
  readonly now: () => number;
  readonly logger: Logger;
}

/** What makes a scrub. */
export interface NewScrub {
  readonly uuid: string;
  readonly action: ScrubAction;
  readonly isScheduled: boolean;
  readonly createdBy: string;
  readonly from: number;
  readonly to: number | null;
}

/** Begin and end of a scrub, milliseconds since the epoch. */
export interface ScrubTimes {
  readonly startedAt: number;
  readonly endedAt: number;
}

/** One run of the engine for a pass, and what the pass had found before it. */
interface Part {
  /** `startedAt` of the engine's run. */
  readonly startedAt: number;
  readonly before: ScrubPass;
  isEnded: boolean;
  /** Its end told what was compared in all. */
  isCounted: boolean;
}

/** A position is stored so often at most, and at every change of state. */
const STORED_EVERY_MS = 5000;

const isScrub = (action: SyncActionWord): action is ScrubAction =>
  action === "check" || action === "repair";

/** The scrubs. */
export class ScrubPasses {
  readonly #records: ScrubRecords;
  readonly #now: () => number;
  readonly #logger: Logger;
  /** The unfinished pass of each array. */
  readonly #open = new Map<string, ScrubPass>();
  /** The pass of each array that ended last: its last numbers come after its end. */
  readonly #ended = new Map<string, ScrubPass>();
  /** The latest run of the engine for each array; kept until its last numbers are in. */
  readonly #parts = new Map<string, Part>();
  readonly #storedAt = new Map<string, number>();
  readonly #lastWhole = new Map<string, ScrubTimes>();
  #nextId = 1;

  constructor(options: ScrubPassesOptions) {
    this.#records = options.records;
    this.#now = options.now;
    this.#logger = options.logger;
  }

  /** Reads what the last run left; what was running then goes on as soon as it may. */
  load(): void {
    this.#nextId = this.#records.nextId();
    for (const document of this.#records.unfinished()) {
      const pass = JSON.parse(document) as ScrubPass;
      this.#open.set(pass.uuid, pass);
      if (pass.state === "running") {
        this.move(pass.uuid, "waiting", "the daemon ended");
      }
    }
    for (const { arrayUuid, startedAt, endedAt } of this.#records.lastWhole()) {
      this.#lastWhole.set(arrayUuid, { startedAt, endedAt });
    }
  }

  /** The unfinished pass of an array, or null. */
  open(uuid: string): ScrubPass | null {
    return this.#open.get(uuid) ?? null;
  }

  /** Arrays that have an unfinished pass. */
  openUuids(): readonly string[] {
    return [...this.#open.keys()];
  }

  /** True while the engine runs the array's pass. */
  isUnderWay(uuid: string): boolean {
    return this.#parts.get(uuid)?.isEnded === false;
  }

  /** The last whole pass that succeeded, or null. */
  lastWhole(uuid: string): ScrubTimes | null {
    return this.#lastWhole.get(uuid) ?? null;
  }

  /** Passes of an array, newest first. */
  page(uuid: string, limit: number): ScrubPass[] {
    const known = [this.#open.get(uuid), this.#ended.get(uuid)];
    return this.#records.page(uuid, limit).map((document) => {
      const pass = JSON.parse(document) as ScrubPass;
      return known.find((candidate) => candidate?.id === pass.id) ?? pass;
    });
  }

  /** Opens a pass, `running`, BEFORE the engine is asked. An unfinished one is cancelled. */
  begin(fresh: NewScrub): ScrubPass {
    this.end(fresh.uuid, "cancelled", `another ${fresh.action} was started instead`);
    const pass: ScrubPass = {
      ...fresh,
      id: this.#nextId,
      state: "running",
      position: fresh.from,
      comparedBytes: 0,
      mismatchSectors: 0,
      mismatches: [],
      isTruncated: false,
      startedAt: this.#now(),
      endedAt: null,
      note: null,
    };
    this.#nextId += 1;
    this.#put(pass);
    return pass;
  }

  /** Moves the unfinished pass to another state that is no end, durably. */
  move(uuid: string, state: "running" | "waiting" | "paused", note: string | null): void {
    const pass = this.#open.get(uuid);
    if (pass !== undefined) {
      this.#put({ ...pass, state, note });
    }
  }

  /** Ends the unfinished pass, if there is one. */
  end(uuid: string, state: "succeeded" | "cancelled" | "failed", note: string | null): void {
    const pass = this.#open.get(uuid);
    if (pass !== undefined) {
      this.#put({ ...pass, state, note, endedAt: this.#now() });
    }
  }

  /** Forgets an array that the registry forgot. */
  forget(uuid: string): void {
    for (const map of [this.#open, this.#ended, this.#parts, this.#storedAt, this.#lastWhole]) {
      map.delete(uuid);
    }
  }

  /** Takes in a status of the array: the position, and what was found different. */
  observe(uuid: string, status: ArrayStatus): void {
    const { sync } = status;
    const part = this.#parts.get(uuid);
    if (sync === null || !isScrub(sync.action)) {
      if (part?.isEnded) {
        this.#parts.delete(uuid);
        this.#settle(part, status);
      }
      return;
    }
    if (part?.startedAt === sync.startedAt) {
      this.#advance(part, status, sync);
      return;
    }
    const fresh: Part = {
      startedAt: sync.startedAt,
      before: this.#takeUp(uuid, sync),
      isEnded: false,
      isCounted: false,
    };
    this.#parts.set(uuid, fresh);
    this.#advance(fresh, status, sync);
  }

  /**
   * The engine's run of a check or repair has ended: ends the pass, or keeps it and tells what its
   * job is to be meanwhile. null: the job ends too.
   */
  partEnded(...[uuid, action, outcome, counts]: Parameters<EndJudge>): JobHold | null {
    const part = this.#parts.get(uuid);
    if (part !== undefined) {
      part.isEnded = true;
    }
    const pass = this.#open.get(uuid);
    if (pass === undefined || pass.action !== action) {
      return null;
    }
    if (part !== undefined && part.before.id === pass.id && counts !== null) {
      part.isCounted = true;
      const comparedBytes = part.before.comparedBytes + counts.copiedBytes;
      this.#open.set(uuid, { ...pass, comparedBytes });
    }
    if (outcome === "done") {
      this.end(uuid, "succeeded", null);
      return null;
    }
    if (outcome === "failed") {
      this.end(uuid, "failed", "parts of the array could be read from no member");
      return null;
    }
    if (pass.state !== "running") {
      return { state: "paused", line: pass.note ?? "paused" };
    }
    if (outcome === "cancelled") {
      this.end(uuid, "cancelled", "cancelled");
      return null;
    }
    this.move(uuid, "waiting", "interrupted");
    return { state: "interrupted", line: "interrupted; it goes on from its position when it may" };
  }

  /** The pass that a new run of the engine belongs to; one is opened for a run nobody asked for. */
  #takeUp(uuid: string, sync: SyncStatus): ScrubPass {
    const { action } = sync;
    const pass = this.#open.get(uuid);
    if (pass === undefined || pass.action !== action) {
      const from = sync.completedBytes;
      const nobody = { uuid, isScheduled: false, createdBy: "array", from, to: null } as const;
      return this.begin({ ...nobody, action: action as ScrubAction });
    }
    if (pass.state === "waiting") {
      this.move(uuid, "running", null);
    }
    return this.#open.get(uuid) ?? pass;
  }

  #advance(part: Part, status: ArrayStatus, sync: SyncStatus): void {
    const { before } = part;
    const pass = this.#open.get(before.uuid);
    if (part.isEnded || pass?.id !== before.id) {
      return;
    }
    const next: ScrubPass = {
      ...pass,
      ...found(before, status),
      position: Math.max(pass.position, sync.completedBytes),
      comparedBytes: before.comparedBytes + sync.copiedBytes,
    };
    const isDue = this.#now() - (this.#storedAt.get(pass.uuid) ?? 0) >= STORED_EVERY_MS;
    if (isDue) {
      this.#put(next);
    } else {
      this.#open.set(pass.uuid, next);
    }
  }

  /** The first status after a run has its last numbers; the pass may have ended by then. */
  #settle({ before, isCounted }: Part, status: ArrayStatus): void {
    const known = [this.#open.get(before.uuid), this.#ended.get(before.uuid)];
    const pass = known.find((candidate) => candidate?.id === before.id);
    if (pass === undefined) {
      return;
    }
    const end = pass.to ?? status.sizeBytes;
    const all = {
      position: end,
      comparedBytes: isCounted ? pass.comparedBytes : end - pass.from,
    };
    this.#put({ ...pass, ...found(before, status), ...(pass.state === "succeeded" ? all : {}) });
  }

  /** Keeps and stores a pass. A database that refuses leaves an unfinished one in memory. */
  #put(pass: ScrubPass): void {
    const isEnded = isFinished(pass);
    const isWholeSuccess = pass.state === "succeeded" && isWhole(pass);
    const { id, uuid, startedAt, endedAt } = pass;
    if (isEnded) {
      this.#open.delete(uuid);
      this.#ended.set(uuid, pass);
    } else {
      this.#open.set(uuid, pass);
    }
    if (isWholeSuccess && endedAt !== null) {
      this.#lastWhole.set(uuid, { startedAt, endedAt });
    }
    const row = { id, arrayUuid: uuid, isEnded, isWholeSuccess, startedAt, endedAt };
    try {
      this.#records.put({ ...row, document: JSON.stringify(pass) });
      this.#storedAt.set(uuid, this.#now());
    } catch (error) {
      this.#logger.error({ array: uuid, error }, "scrub-write-failed");
    }
  }
}

/** What a pass has found, with what its run under way found. */
const found = (
  before: ScrubPass,
  status: ArrayStatus,
): Pick<ScrubPass, "mismatchSectors" | "mismatches" | "isTruncated"> => {
  const { ranges, isTruncated } = joinRanges(before.mismatches, status.mismatches.ranges);
  return {
    mismatchSectors: before.mismatchSectors + status.mismatchCount,
    mismatches: ranges,
    isTruncated: isTruncated || before.isTruncated || status.mismatches.truncated,
  };
};
