/**
 * Scrubs from schedule to history, with the test's clock and the test as the engine: windows,
 * positions, kills, members that fail, and what becomes of the jobs meanwhile.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { ASSEMBLE } from "../../helpers/array-values.ts";
import { ScrubBench, WEEKLY } from "../../helpers/scrub-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const SIZE = 7 * 1024 * 1024;

const withBoard = (body: (board: ScrubBench) => Promise<void>) =>
  inFolder(async (folder) => {
    await using board = await ScrubBench.open(folder);
    await body(board);
  });

/** A board whose scheduled check has compared 3000 bytes and found 8 sectors different. */
async function underWay(board: ScrubBench): Promise<void> {
  await board.control.scrubs.setSchedule("md0", WEEKLY);
  await board.round("2026-11-22T02:00:00Z");
  board.advance({ completedBytes: 3000, copiedBytes: 3000 }, 8);
}

const test = suite("control/scrub-service");

test(
  "a new array has no schedule and is never scrubbed by itself",
  withBoard(async (board) => {
    assert.is(board.control.scrubs.schedule(board.uuid), null);
    await board.round("2027-11-22T02:00:00Z");
    assert.equal(board.asked(), []);
  }),
);

test(
  "what is due becomes a job of the schedule and leaves health as it is",
  withBoard(async (board) => {
    await underWay(board);
    assert.equal(board.asked(), ["action check"]);
    const { job } = board;
    assert.equal([job.kind, job.state, job.createdBy], ["array.check", "running", "schedule"]);
    assert.is(board.control.arrays.find("md0").health, "optimal");
    await board.round("2026-11-22T02:00:02Z");
    assert.equal(board.asked(), []);
  }),
);

test(
  "a scrub counts what the ends of its parts tell, not the last samples",
  withBoard(async (board) => {
    await underWay(board);
    board.advance({ completedBytes: 1000, copiedBytes: 1000 });
    board.end("interrupted", 0, 1500);
    assert.is(board.pass?.comparedBytes, 1500);
  }),
);

test(
  "a scrub that its window cuts short goes on in the next one from where it stood",
  withBoard(async (board) => {
    await underWay(board);
    board.asked();
    const { id } = board.job;
    await board.round("2026-11-22T05:00:00Z");
    assert.equal(board.asked(), ["action idle"]);
    assert.equal([board.job.state, board.pass?.state], ["paused", "waiting"]);
    assert.match(board.job.log.at(-1)?.message ?? "", "window of its schedule is closed");
    await board.round("2026-11-22T12:00:00Z");
    assert.equal(board.asked(), []);
    await board.round("2026-11-23T01:00:00Z");
    assert.equal(board.asked(), ["action check 3000-null"]);
    assert.equal([board.job.id, board.job.state], [id, "running"]);
    board.advance({ completedBytes: 5000, copiedBytes: 2000 }, 16);
    board.end("done", 24);
    assert.is(board.job.state, "succeeded");
    const [scrub, ...older] = board.control.scrubs.passes.page(board.uuid, 10);
    assert.equal(older, []);
    assert.equal(
      [scrub?.state, scrub?.mismatchSectors, scrub?.position, scrub?.comparedBytes],
      ["succeeded", 32, SIZE, SIZE],
    );
    // The next one is due on the next Sunday.
    await board.round("2026-11-24T01:00:00Z");
    assert.equal(board.asked(), []);
    await board.round("2026-11-29T02:00:00Z");
    assert.equal(board.asked(), ["action check"]);
  }),
);

test(
  "a kill in the middle loses at most the last seconds: the check goes on in the same job",
  withBoard(async (board) => {
    await underWay(board);
    board.bench.clock.now += 5000;
    board.advance({ completedBytes: 4000, copiedBytes: 4000 }, 8);
    board.advance({ completedBytes: 4500, copiedBytes: 4500 }, 9);
    const { id } = board.job;
    await using again = await board.restart();
    assert.equal([again.job.id, again.job.state], [id, "interrupted"]);
    assert.equal([again.pass?.state, again.pass?.position], ["waiting", 4000]);
    await again.round();
    assert.equal(again.asked(), ["action check 4000-null"]);
    assert.equal([again.job.id, again.job.state], [id, "running"]);
    again.end("done", 1);
    assert.equal([again.job.state, again.pass], ["succeeded", null]);
    assert.is(again.control.scrubs.passes.page(again.uuid, 1)[0]?.mismatchSectors, 9);
  }),
);

test(
  "a kill right before the end of a check leaves nothing to compare: it has succeeded",
  withBoard(async (board) => {
    await underWay(board);
    board.bench.clock.now += 5000;
    board.advance({ completedBytes: SIZE, copiedBytes: SIZE });
    const { id } = board.job;
    await using again = await board.restart();
    await again.round();
    assert.equal([again.asked(), again.control.jobs.get(id).state], [[], "succeeded"]);
    assert.ok(again.control.scrubs.passes.lastWhole(again.uuid));
  }),
);

test(
  "a board that was off at the due time scrubs once, in the next window",
  withBoard(async (board) => {
    await board.control.scrubs.setSchedule("md0", WEEKLY);
    board.bench.clock.now = Date.parse("2026-12-08T12:00:00Z");
    await using again = await board.restart();
    await again.round();
    assert.equal(again.asked(), []);
    await again.round("2026-12-09T01:00:00Z");
    assert.equal(again.asked(), ["action check"]);
    again.end("done");
    await again.round("2026-12-09T01:00:10Z");
    await again.round("2026-12-10T02:00:00Z");
    assert.equal(again.asked(), []);
  }),
);

test(
  "a member that fails interrupts it; it goes on when the array is whole again",
  withBoard(async (board) => {
    await underWay(board);
    board.asked();
    const path = board.bench.image("disk2");
    await board.array.fail(path);
    board.end("interrupted", 8);
    await board.round("2026-11-22T02:10:00Z");
    assert.equal(
      [board.job.state, board.pass?.state, board.asked().length],
      ["interrupted", "waiting", 0],
    );
    assert.is(board.control.scrubs.waitOf(board.uuid)?.code, "degraded");
    const members = board.array.status.members.map((member) => ({
      ...member,
      states: ["in_sync" as const],
    }));
    board.array.show({ members, degraded: 0, inSyncCopies: 2, health: "optimal" });
    await board.round("2026-11-22T02:20:00Z");
    assert.equal(board.asked(), ["action check 3000-null"]);
    assert.is(board.job.state, "running");
  }),
);

test(
  "an overdue scrub on a degraded array does not start and is announced once",
  withBoard(async (board) => {
    await board.control.scrubs.setSchedule("md0", WEEKLY);
    await board.array.fail(board.bench.image("disk2"));
    for (const minute of ["00", "01", "02"]) await board.round(`2026-11-22T02:${minute}:00Z`);
    assert.equal(board.asked(), []);
    assert.is(board.events("scrub.waiting").length, 1);
    assert.match(board.events("scrub.waiting")[0] ?? "", "degraded");
  }),
);

test(
  "the schedule's speed limits hold while its scrub runs, then the array's own",
  withBoard(async (board) => {
    await board.control.arrays.setSyncSpeed("md0", { min: 2000, max: 90_000 });
    await board.control.scrubs.setSchedule("md0", { ...WEEKLY, speedMin: 1024, speedMax: 50_000 });
    await board.round("2026-11-22T02:00:00Z");
    const limits = (): number[] => [
      board.array.status.syncSpeedMin,
      board.array.status.syncSpeedMax,
    ];
    assert.equal(limits(), [1024, 50_000]);
    assert.is(board.control.arrays.find("md0").record.syncSpeedMax, 90_000);
    board.end("done");
    await board.round("2026-11-22T03:00:00Z");
    assert.equal(limits(), [2000, 90_000]);
    await using again = await board.restart();
    assert.equal(
      [again.array.status.syncSpeedMin, again.array.status.syncSpeedMax],
      [2000, 90_000],
    );
  }),
);

test(
  "a user's check takes the place of one that waits, whose job is cancelled",
  withBoard(async (board) => {
    await underWay(board);
    await board.round("2026-11-22T05:00:00Z");
    const { id } = board.job;
    await board.control.memberCommands.setSync("md0", { action: "check" }, "token:ci");
    assert.is(board.control.jobs.get(id).state, "cancelled");
    assert.equal([board.job.state, board.job.createdBy], ["running", "token:ci"]);
    const states = board.control.scrubs.passes.page(board.uuid, 9).map(({ state }) => state);
    assert.equal(states, ["running", "cancelled"]);
  }),
);

test(
  "removing the schedule, or changing its action, cancels its scrub, switching it off keeps it",
  withBoard(async (board) => {
    await underWay(board);
    await board.control.scrubs.setSchedule("md0", { ...WEEKLY, isEnabled: false });
    await board.round("2026-11-22T02:10:00Z");
    assert.equal([board.pass?.state, board.array.status.sync], ["waiting", null]);
    await board.control.scrubs.setSchedule("md0", WEEKLY);
    await board.round("2026-11-22T02:20:00Z");
    assert.equal(board.asked(), ["action check", "action idle", "action check 3000-null"]);
    await board.control.scrubs.setSchedule("md0", { ...WEEKLY, action: "repair" });
    assert.equal([board.pass, board.job.state, board.array.status.sync], [null, "cancelled", null]);
    await board.control.scrubs.removeSchedule("md0");
    await board.round("2026-11-29T02:00:00Z");
    assert.equal(board.asked(), ["action idle"]);
    await using again = await board.restart();
    assert.is(again.control.scrubs.schedule(again.uuid), null);
  }),
);

test(
  "a change that leaves the times alone keeps an overdue scrub due",
  withBoard(async (board) => {
    await board.control.scrubs.setSchedule("md0", WEEKLY);
    board.bench.clock.now = Date.parse("2026-11-22T06:00:00Z");
    await board.control.scrubs.setSchedule("md0", { ...WEEKLY, speedMax: 50_000 });
    await board.round("2026-11-23T01:00:00Z");
    assert.equal(board.asked(), ["action check"]);
  }),
);

test(
  "a scrub that was cancelled or has failed is not tried again before it is due again",
  withBoard(async (board) => {
    await underWay(board);
    await board.control.scrubCommands.cancelJob(board.job.id);
    assert.equal([board.job.state, board.pass], ["cancelled", null]);
    await board.round("2026-11-22T02:10:00Z");
    await board.round("2026-11-29T02:00:00Z");
    assert.equal(board.asked(), ["action check", "action idle", "action check"]);
    board.end("failed");
    await board.round("2026-11-29T02:10:00Z");
    assert.equal(board.asked(), []);
    assert.is(board.control.scrubs.passes.page(board.uuid, 1)[0]?.state, "failed");
    assert.is(board.control.scrubs.passes.lastWhole(board.uuid), null);
  }),
);

test(
  "an engine that refuses is asked again at the next round",
  withBoard(async (board) => {
    await board.control.scrubs.setSchedule("md0", WEEKLY);
    const { array } = board;
    const ask = array.setSyncAction.bind(array);
    array.setSyncAction = async () => {
      throw new CodedError("RAID_SYNC_IN_PROGRESS", "a resync is running", { remedy: "wait" });
    };
    await board.round("2026-11-22T02:00:00Z");
    assert.equal([board.pass?.state, board.pass?.note], ["waiting", "a resync is running"]);
    array.setSyncAction = ask;
    await board.round("2026-11-22T02:00:02Z");
    assert.equal([board.pass?.state, board.job.state], ["running", "running"]);
  }),
);

test(
  "a database that refuses does not keep a scrub from going on",
  withBoard(async (board) => {
    await board.control.scrubs.setSchedule("md0", WEEKLY);
    const refuse = (): never => {
      throw new CodedError("STORE_FULL", "there is no space left");
    };
    board.control.store.scrubs.put = refuse;
    board.control.store.scrubs.putSchedule = refuse;
    await board.round("2026-11-22T02:00:00Z");
    board.advance({ completedBytes: 3000 });
    assert.equal([board.pass?.state, board.pass?.position], ["running", 3000]);
    board.end("done");
    await board.round("2026-11-22T02:00:10Z");
    assert.equal(board.asked(), ["action check"]);
  }),
);

test(
  "an array that is forgotten takes its schedule and scrubs along",
  withBoard(async (board) => {
    await underWay(board);
    board.end("done");
    const { uuid, control } = board;
    const order = { confirm: "md0", force: false, forget: true };
    const job = control.arrayCommands.stop("md0", order, "test");
    await control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
    assert.equal(
      [control.scrubs.schedule(uuid), control.scrubs.passes.lastWhole(uuid)],
      [null, null],
    );
    assert.equal([control.store.scrubs.schedules(), control.store.scrubs.page(uuid, 9)], [[], []]);
  }),
);

test(
  "a check under way waits while its array is stopped, and ends when the array is forgotten",
  withBoard(async (board) => {
    await underWay(board);
    const { uuid, control, bench } = board;
    const { id } = board.job;
    const stop = async (forget: boolean): Promise<void> => {
      const job = control.arrayCommands.stop(
        "md0",
        { confirm: "md0", force: false, forget },
        "test",
      );
      await control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
    };
    await stop(false);
    await board.round("2026-11-22T02:10:00Z");
    const { passes } = control.scrubs;
    assert.equal(
      [control.jobs.get(id).state, passes.open(uuid)?.state],
      ["interrupted", "waiting"],
    );
    const started = await control.arrayCommands.assemble("md0", ASSEMBLE, "test");
    await control.jobs.waitFor(started.id, AbortSignal.timeout(5000));
    await board.round("2026-11-22T02:20:00Z");
    assert.equal(bench.engine.array("md0").calls, ["action check 3000-null"]);
    assert.is(control.jobs.get(id).state, "running");
    await stop(true);
    assert.equal([control.jobs.get(id).state, passes.open(uuid)], ["cancelled", null]);
  }),
);

test(
  "an impossible schedule is refused and changes nothing",
  withBoard(async (board) => {
    for (const wrong of [
      { cron: "never" },
      { everyDays: 3 },
      { timeZone: "Nowhere" },
      { speedMin: 9000, speedMax: 8000 },
    ]) {
      try {
        await board.control.scrubs.setSchedule("md0", { ...WEEKLY, ...wrong });
        assert.unreachable();
      } catch (error) {
        assert.is((error as CodedError).code, "CONTROL_SCHEDULE_INVALID");
      }
    }
    assert.is(board.control.scrubs.schedule(board.uuid), null);
  }),
);

test.run();
