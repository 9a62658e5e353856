/** Jobs of verbs and of sync actions: states, waits, bounds, what a restart makes of them. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { silentLogger } from "../../../src/common/log.ts";
import { EventService } from "../../../src/control/event-service.ts";
import type { Job } from "../../../src/control/job.ts";
import { JOBS_RUNNING_MAX, JobService } from "../../../src/control/job-service.ts";
import { SyncJobs } from "../../../src/control/sync-jobs.ts";
import type { SyncStatus } from "../../../src/raid/array-status.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import { ARRAY_UUID, arrayStatus } from "../../helpers/array-values.ts";
import { fakeSync } from "../../helpers/fake-status.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { withTimeout } from "../../helpers/timeout.ts";

interface Bench {
  readonly store: Store;
  readonly events: EventService;
  readonly jobs: JobService;
  readonly syncJobs: SyncJobs;
  readonly clock: { now: number };
}

let ids = 0;

function openJobs(path: string): Bench {
  const store = openStore({ path });
  const clock = { now: 1_000_000 };
  const now = (): number => clock.now;
  const events = new EventService({ log: store.events, now, logger: silentLogger });
  const newId = (): string => {
    ids += 1;
    return `j${ids}`;
  };
  const jobs = new JobService({ records: store.jobs, events, now, newId, logger: silentLogger });
  jobs.takeOver();
  return { store, events, jobs, syncJobs: new SyncJobs(jobs, events, now), clock };
}

const withJobs = (body: (bench: Bench, restart: () => Bench) => Promise<void>) =>
  withTimeout(
    10_000,
    inFolder(async (folder) => {
      const path = join(folder, "a.db");
      let bench = openJobs(path);
      await body(bench, () => {
        bench.store.close();
        bench = openJobs(path);
        return bench;
      });
      bench.store.close();
    }),
  );

const verb = { kind: "member.add", subject: "/api/v1/arrays/a", createdBy: "token:t" } as const;
const refusal = new CodedError("RAID_RE_ADD_REFUSED", "no", { remedy: "r", details: { a: 1 } });
const types = (bench: Bench): string[] =>
  bench.events
    .page({ order: "asc", from: null, limit: 100, types: [], subject: null })
    .map(({ type }) => type);
const all = { limit: 100, before: null, state: null, subject: null };

function observe(bench: Bench, sync: Partial<SyncStatus> | null): void {
  const status = arrayStatus({ sync: sync === null ? null : fakeSync(sync) });
  bench.syncJobs.observe(ARRAY_UUID, status);
}

const test = suite("control/jobs");

test(
  "a verb that succeeds ends with its result and its new subject",
  withJobs(async ({ jobs }) => {
    const job = jobs.run(verb, async () => ({ result: { array_id: "b" }, subject: "/s" }));
    assert.is(job.state, "running");
    const ended = await jobs.waitFor(job.id, AbortSignal.timeout(5000));
    assert.equal(
      [ended.state, ended.result, ended.subject, ended.problem, ended.finishedAt],
      ["succeeded", { array_id: "b" }, "/s", null, 1_000_000],
    );
  }),
);

test(
  "a verb that is refused keeps the refusal, over a restart too",
  withJobs(async ({ jobs }, restart) => {
    const job = jobs.run(verb, async () => {
      throw refusal;
    });
    const ended = await jobs.waitFor(job.id, AbortSignal.timeout(5000));
    assert.is(ended.state, "failed");
    assert.equal(ended.problem, {
      code: "RAID_RE_ADD_REFUSED",
      message: "no",
      remedy: "r",
      details: { a: 1 },
    });
    assert.equal(restart().jobs.get(job.id), ended);
  }),
);

test(
  "a verb that crashes is told as a defect, not as its message",
  withJobs(async ({ jobs }) => {
    const job = jobs.run(verb, async () => {
      throw new TypeError("secret internals");
    });
    const ended = await jobs.waitFor(job.id, AbortSignal.timeout(5000));
    assert.is(ended.problem?.code, "CONTROL_INTERNAL");
    assert.not.match(JSON.stringify(ended), "secret internals");
  }),
);

test(
  "a wait that is given up tells the job as it is",
  withJobs(async ({ jobs }) => {
    const gate = Promise.withResolvers<void>();
    const job = jobs.run(verb, async () => {
      await gate.promise;
      return { result: {} };
    });
    const abort = new AbortController();
    const waiting = jobs.waitFor(job.id, abort.signal);
    abort.abort();
    assert.is((await waiting).state, "running");
    gate.resolve();
    await jobs.settle();
    assert.is(jobs.get(job.id).state, "succeeded");
  }),
);

test(
  "so many verbs run at once and no more",
  withJobs(async ({ jobs }) => {
    const gate = Promise.withResolvers<void>();
    const work = async () => {
      await gate.promise;
      return { result: {} };
    };
    for (let count = 0; count < JOBS_RUNNING_MAX; count += 1) jobs.run(verb, work);
    assert.throws(() => jobs.run(verb, work), /64 jobs are under way/);
    gate.resolve();
    await jobs.settle();
    jobs.run(verb, work);
    await jobs.settle();
  }),
);

test(
  "a verb cut short by the end of the daemon has failed after the restart",
  withJobs(async ({ jobs }, restart) => {
    const job = jobs.open(verb);
    const again = restart();
    assert.is(again.jobs.get(job.id).state, "failed");
    assert.is(again.jobs.get(job.id).problem?.code, "CONTROL_JOB_INTERRUPTED");
    assert.equal(again.jobs.live(), []);
  }),
);

test(
  "a sync action becomes one job that follows it to its end",
  withJobs(async (bench) => {
    observe(bench, null);
    observe(bench, { action: "recover", reason: "device-added", completedBytes: 10 });
    const id = bench.syncJobs.jobOf(ARRAY_UUID) as string;
    observe(bench, { action: "recover", reason: "device-added", completedBytes: 500 });
    const running = bench.jobs.get(id);
    assert.equal(
      [running.kind, running.state, running.progress?.doneBytes, running.createdBy],
      ["array.recover", "running", 500, "array"],
    );
    bench.syncJobs.finished(ARRAY_UUID, "done");
    observe(bench, null);
    assert.is(bench.jobs.get(id).state, "succeeded");
    assert.is(bench.syncJobs.jobOf(ARRAY_UUID), null);
    assert.equal(
      types(bench).filter((type) => type.startsWith("sync.")),
      ["sync.progress"],
    );
  }),
);

test(
  "progress is announced in steps of 20 percent with mdadm's names, each once",
  withJobs(async (bench) => {
    for (const completedBytes of [0, 100, 200, 399, 400, 410, 999, 1000]) {
      observe(bench, { action: "resync", completedBytes });
    }
    const events = bench.events.page({
      order: "asc",
      from: null,
      limit: 100,
      types: ["sync.progress"],
      subject: null,
    });
    assert.equal(
      events.map(({ mdadmEvent }) => mdadmEvent),
      ["Rebuild20", "Rebuild40", "Rebuild80"],
    );
  }),
);

test(
  "late news of an action that has ended opens no second job",
  withJobs(async (bench) => {
    observe(bench, { completedBytes: 900 });
    bench.syncJobs.finished(ARRAY_UUID, "done");
    observe(bench, { completedBytes: 1000 });
    assert.is(bench.syncJobs.jobOf(ARRAY_UUID), null);
    assert.is(bench.jobs.page(all).length, 1);
  }),
);

test(
  "without an announced end the bytes settled tell how the action ended",
  withJobs(async (bench) => {
    const states: string[] = [];
    for (const [startedAt, completedBytes] of [
      [1, 1000],
      [2, 999],
    ] as const) {
      observe(bench, { startedAt, completedBytes });
      const id = bench.syncJobs.jobOf(ARRAY_UUID) as string;
      observe(bench, null);
      states.push(bench.jobs.get(id).state);
    }
    assert.equal(states, ["succeeded", "cancelled"]);
  }),
);

test(
  "an interrupted job is taken up again by the array that takes up its action",
  withJobs(async (bench, restart) => {
    observe(bench, { action: "recover", startedAt: 5, completedBytes: 300 });
    const id = bench.syncJobs.jobOf(ARRAY_UUID) as string;
    const again = restart();
    assert.is(again.jobs.get(id).state, "interrupted");
    observe(again, { action: "recover", startedAt: 9, completedBytes: 310 });
    assert.is(again.syncJobs.jobOf(ARRAY_UUID), id);
    assert.is(again.jobs.get(id).state, "running");
    again.syncJobs.finished(ARRAY_UUID, "done");
    assert.is(again.jobs.get(id).state, "succeeded");
  }),
);

test(
  "an interrupted recovery whose array does something else instead is cancelled",
  withJobs(async (bench, restart) => {
    observe(bench, { action: "recover" });
    const id = bench.syncJobs.jobOf(ARRAY_UUID) as string;
    const again = restart();
    observe(again, { action: "resync", startedAt: 9 });
    assert.is(again.jobs.get(id).state, "cancelled");
    assert.is(again.jobs.get(again.syncJobs.jobOf(ARRAY_UUID) as string).kind, "array.resync");
  }),
);

test(
  "an interrupted check waits for its turn while the array resyncs",
  withJobs(async (bench, restart) => {
    observe(bench, { action: "check" });
    const id = bench.syncJobs.jobOf(ARRAY_UUID) as string;
    const again = restart();
    observe(again, { action: "resync", startedAt: 9 });
    assert.is(again.jobs.get(id).state, "interrupted");
    again.syncJobs.finished(ARRAY_UUID, "done");
    observe(again, { action: "check", startedAt: 12 });
    assert.is(again.syncJobs.jobOf(ARRAY_UUID), id);
  }),
);

test(
  "a job that is held at its action's early end goes on with it, over a restart too",
  withJobs(async (bench, restart) => {
    bench.syncJobs.onEnd((_uuid, _action, outcome) =>
      outcome === "done" ? null : { state: "paused", line: "paused by the user" },
    );
    observe(bench, { action: "check", startedAt: 5, completedBytes: 300 });
    const id = bench.syncJobs.jobOf(ARRAY_UUID) as string;
    bench.syncJobs.finished(ARRAY_UUID, "cancelled");
    observe(bench, null);
    assert.is(bench.jobs.get(id).state, "paused");
    const again = restart();
    assert.is(again.jobs.get(id).state, "paused");
    observe(again, { action: "check", startedAt: 9, completedBytes: 300 });
    assert.equal([again.syncJobs.jobOf(ARRAY_UUID), again.jobs.get(id).state], [id, "running"]);
  }),
);

test(
  "bytes copied and skipped are counted once over all statuses",
  withJobs(async (bench) => {
    const scope = "bitmap" as const;
    observe(bench, { action: "resync", scope, copiedBytes: 10, skippedBytes: 1 });
    observe(bench, { action: "resync", scope, copiedBytes: 30, skippedBytes: 5 });
    bench.syncJobs.finished(ARRAY_UUID, "done");
    observe(bench, { action: "resync", scope, startedAt: 7, copiedBytes: 4 });
    assert.equal(bench.syncJobs.totals(), [
      { uuid: ARRAY_UUID, action: "resync", scope, copiedBytes: 34, skippedBytes: 5 },
    ]);
  }),
);

test(
  "a job and the totals end with the bytes that the end tells, not with the last sample",
  withJobs(async (bench) => {
    const scope = "bitmap" as const;
    observe(bench, { action: "recover", scope, copiedBytes: 0, skippedBytes: 3 });
    const id = bench.syncJobs.jobOf(ARRAY_UUID) as string;
    bench.syncJobs.finished(ARRAY_UUID, "done", { copiedBytes: 27, skippedBytes: 63 });
    const { result } = bench.jobs.get(id);
    assert.equal(result, { array_id: ARRAY_UUID, copied: 27, skipped_by_bitmap: 63 });
    assert.equal(bench.syncJobs.totals(), [
      { uuid: ARRAY_UUID, action: "recover", scope, copiedBytes: 27, skippedBytes: 63 },
    ]);
  }),
);

test(
  "who asked for a check is named by its job, and by no later one",
  withJobs(async (bench) => {
    const creators: Job["createdBy"][] = [];
    bench.syncJobs.requestedBy(ARRAY_UUID, "token:ci");
    for (const startedAt of [1, 2]) {
      observe(bench, { startedAt });
      creators.push(bench.jobs.get(bench.syncJobs.jobOf(ARRAY_UUID) as string).createdBy);
      bench.syncJobs.finished(ARRAY_UUID, "done");
    }
    assert.equal(creators, ["token:ci", "array"]);
  }),
);

test(
  "the job of a re-add by bitmap ends with the bytes copied and the bytes saved",
  withJobs(async (bench) => {
    const sync = { action: "recover", reason: "re-add", scope: "bitmap" } as const;
    observe(bench, { ...sync, copiedBytes: 100 });
    const id = bench.syncJobs.jobOf(ARRAY_UUID) ?? "";
    observe(bench, { ...sync, completedBytes: 1000, copiedBytes: 200, skippedBytes: 800 });
    bench.syncJobs.finished(ARRAY_UUID, "done");
    const result = { array_id: ARRAY_UUID, copied: 200, skipped_by_bitmap: 800 };
    assert.equal(bench.jobs.get(id).result, result);
  }),
);

test.run();
