/** A board with md0 on two disks of the fake engine, for tests of scrubs, which play the engine. */
import * as assert from "uvu/assert";
import type { Job } from "../../src/control/job.ts";
import type { ScrubPass } from "../../src/control/scrub-pass.ts";
import type { ScheduleOrder } from "../../src/control/scrub-schedules.ts";
import type { SyncStatus } from "../../src/raid/array-status.ts";
import { createOrder } from "./array-values.ts";
import { type ControlBench, openBench } from "./control-bench.ts";
import type { FakeArray } from "./fake-array.ts";
import { FakeEngine } from "./fake-engine.ts";

export const at = (text: string): number => Date.parse(text);

/** Sundays at 02:00, between 01:00 and 05:00. */
export const WEEKLY: ScheduleOrder = {
  action: "check",
  cron: "0 2 * * 0",
  everyDays: null,
  window: { start: "01:00", end: "05:00" },
  timeZone: "UTC",
  speedMin: null,
  speedMax: null,
  isEnabled: true,
};

export class ScrubBench implements AsyncDisposable {
  readonly bench: ControlBench;

  private constructor(bench: ControlBench) {
    this.bench = bench;
  }

  static async open(folder: string): Promise<ScrubBench> {
    const bench = await openBench({ folder, images: ["disk1", "disk2", "disk3"] });
    bench.clock.now = at("2026-11-16T12:00:00Z");
    const { control } = bench;
    const job = await control.arrayCommands.create(createOrder(), "test");
    const ended = await control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
    assert.is(ended.state, "succeeded");
    return new ScrubBench(bench);
  }

  /** Like kill -9 and a new start: the engine assembles from what superblocks tell. */
  async restart(): Promise<ScrubBench> {
    await this.bench.kill();
    const engine = new FakeEngine();
    for (const [path, content] of this.bench.engine.contents) engine.hold(path, content);
    for (const [uuid, status] of this.bench.engine.lastStatuses) {
      engine.lastStatuses.set(uuid, status);
    }
    const { folder, clock } = this.bench;
    return new ScrubBench(await openBench({ folder, engine, now: clock.now }));
  }

  get control() {
    return this.bench.control;
  }

  get array(): FakeArray {
    return this.bench.engine.array("md0");
  }

  get uuid(): string {
    return this.array.uuid;
  }

  get pass(): ScrubPass | null {
    return this.control.scrubs.passes.open(this.uuid);
  }

  /** The newest job of a check or repair. */
  get job(): Job {
    const all = { limit: 100, before: null, state: null, subject: null };
    const found = this.control.jobs.page(all).find(({ kind }) => /check|repair/.test(kind));
    assert.ok(found, "there is a job of a scrub");
    return found as Job;
  }

  /** Sets the clock and makes a round. */
  async round(time?: string): Promise<void> {
    if (time !== undefined) this.bench.clock.now = at(time);
    await this.control.rounds.round();
  }

  /** The engine's news of the action under way. */
  advance(sync: Partial<SyncStatus>, mismatchCount = 0): void {
    const current = this.array.status.sync;
    assert.ok(current, "a sync action is under way");
    this.array.show({ mismatchCount, sync: { ...(current as SyncStatus), ...sync } });
  }

  /** The engine's news that the action has ended, and what it compared in all if that is given. */
  end(
    outcome: "done" | "failed" | "interrupted",
    mismatchCount = 0,
    copiedBytes: number | null = null,
  ): void {
    const counts = copiedBytes === null ? {} : { copied_bytes: copiedBytes, skipped_bytes: 0 };
    this.array.happen({ type: "sync.finished", details: { outcome, ...counts } });
    this.array.show({ sync: null, mismatchCount });
  }

  /** What the engine was asked, but for speeds, since the last call of this. */
  asked(): string[] {
    return this.array.calls.splice(0).filter((call) => call.startsWith("action"));
  }

  events(type: string): string[] {
    const query = { order: "asc", from: null, limit: 1000, types: [type], subject: null } as const;
    return this.control.events.page(query).map(({ message }) => message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench[Symbol.asyncDispose]();
  }
}
