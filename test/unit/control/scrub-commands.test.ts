/** Pause, resume and cancel of sync actions, and starting them over a range. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CodedError } from "../../../src/common/errors.ts";
import { fakeSync } from "../../helpers/fake-status.ts";
import { ScrubBench, WEEKLY } from "../../helpers/scrub-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const MIB = 1024 * 1024;

const withBoard = (body: (board: ScrubBench) => Promise<void>) =>
  inFolder(async (folder) => {
    await using board = await ScrubBench.open(folder);
    await body(board);
  });

/** A user's check at 3000 bytes. */
async function check(board: ScrubBench): Promise<string> {
  await board.control.memberCommands.setSync("md0", { action: "check" }, "token:ci");
  board.advance({ completedBytes: 3000, copiedBytes: 3000 }, 4);
  board.asked();
  return board.job.id;
}

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "none";
  } catch (error) {
    return (error as CodedError).code;
  }
};

const test = suite("control/scrub-commands");

test(
  "a paused check keeps its position over a kill, waits for the user, and goes on from there",
  withBoard(async (board) => {
    const id = await check(board);
    const paused = await board.control.scrubCommands.pauseJob(id);
    assert.equal([paused.state, board.asked()], ["paused", ["action idle"]]);
    assert.is(board.array.status.sync, null);
    await using again = await board.restart();
    assert.equal([again.job.id, again.job.state, again.pass?.state], [id, "paused", "paused"]);
    await again.round();
    assert.equal(again.asked(), []);
    const resumed = await again.control.scrubCommands.resumeJob(id);
    assert.equal([resumed.state, again.asked()], ["running", ["action check 3000-null"]]);
    again.advance({ completedBytes: 9000, copiedBytes: 6000 }, 2);
    again.end("done", 2);
    const [scrub] = again.control.scrubs.passes.page(again.uuid, 1);
    assert.equal(
      [scrub?.state, scrub?.mismatchSectors, scrub?.createdBy],
      ["succeeded", 6, "token:ci"],
    );
    assert.is(again.control.jobs.get(id).state, "succeeded");
  }),
);

test(
  "a kill right after the pause was asked for leaves it paused",
  withBoard(async (board) => {
    const id = await check(board);
    board.array.setSyncAction = () => new Promise(() => undefined);
    void board.control.scrubCommands.pauseJob(id);
    await using again = await board.restart();
    await again.round();
    assert.equal([again.job.state, again.pass?.state, again.asked()], ["paused", "paused", []]);
  }),
);

test(
  "a kill between the scrub's and the job's pause leaves both paused",
  withBoard(async (board) => {
    const id = await check(board);
    board.control.jobs.move = () => {
      throw new Error("killed here");
    };
    await codeOf(board.control.scrubCommands.pauseJob(id));
    await using again = await board.restart();
    assert.equal([again.job.id, again.job.state, again.pass?.state], [id, "paused", "paused"]);
    assert.is((await again.control.scrubCommands.resumeJob(id)).state, "running");
  }),
);

test(
  "a check that ends while its pause is asked for has succeeded",
  withBoard(async (board) => {
    const id = await check(board);
    board.array.setSyncAction = async () => board.end("done");
    assert.is((await board.control.scrubCommands.pauseJob(id)).state, "succeeded");
    assert.is(board.pass, null);
  }),
);

test(
  "a paused check can be cancelled",
  withBoard(async (board) => {
    const id = await check(board);
    await board.control.scrubCommands.pauseJob(id);
    const cancelled = await board.control.scrubCommands.cancelJob(id);
    assert.equal([cancelled.state, board.pass], ["cancelled", null]);
    await board.round("2027-01-01T00:00:00Z");
    assert.equal(board.asked(), ["action idle"]);
  }),
);

test(
  "a paused scrub of a schedule that is resumed outside its window waits for it, and says so",
  withBoard(async (board) => {
    await board.control.scrubs.setSchedule("md0", WEEKLY);
    await board.round("2026-11-22T02:00:00Z");
    const { id } = board.job;
    await board.control.scrubCommands.pauseJob(id);
    await board.round("2026-11-22T12:00:00Z");
    const resumed = await board.control.scrubCommands.resumeJob(id);
    assert.is(resumed.state, "paused");
    assert.match(resumed.log.at(-1)?.message ?? "", "not yet: the window");
    await board.round("2026-11-23T01:00:00Z");
    assert.is(board.job.state, "running");
  }),
);

test(
  "pausing a recovery freezes the array, resuming it goes on in the same job",
  withBoard(async (board) => {
    board.array.show({ sync: fakeSync({ action: "recover", reason: "device-added" }) });
    const id = board.control.syncJobs.jobOf(board.uuid) as string;
    assert.is((await board.control.scrubCommands.pauseJob(id)).state, "paused");
    assert.equal(board.asked(), ["action frozen"]);
    assert.is(board.control.scrubs.waitOf(board.uuid), null);
    const { scrubCommands, jobs } = board.control;
    board.array.setSyncAction = async (action) => {
      assert.is(action, "idle");
      const sync = fakeSync({ action: "recover", reason: "device-added", startedAt: 2000 });
      board.array.show({ health: "recovering", sync });
    };
    assert.is((await scrubCommands.resumeJob(id)).state, "running");
    board.end("done");
    assert.is(jobs.get(id).state, "succeeded");
  }),
);

test(
  "a recovery that has nothing left to do after its pause does not stay paused",
  withBoard(async (board) => {
    board.array.show({ sync: fakeSync({ action: "recover", reason: "device-added" }) });
    const id = board.control.syncJobs.jobOf(board.uuid) as string;
    await board.control.scrubCommands.pauseJob(id);
    await board.round();
    assert.is(board.control.jobs.get(id).state, "paused");
    await board.control.scrubCommands.resumeJob(id);
    await board.round();
    assert.is(board.control.jobs.get(id).state, "cancelled");
  }),
);

test(
  "frozen pauses a check, and nothing that is due starts meanwhile",
  withBoard(async (board) => {
    await check(board);
    await board.control.memberCommands.setSync("md0", { action: "frozen" }, "token:ci");
    assert.equal([board.job.state, board.pass?.state], ["paused", "paused"]);
    await board.control.scrubCommands.cancelJob(board.job.id);
    await board.control.scrubs.setSchedule("md0", WEEKLY);
    await board.round("2026-11-22T02:00:00Z");
    assert.is(board.control.scrubs.waitOf(board.uuid)?.code, "frozen");
    await board.control.memberCommands.setSync("md0", { action: "idle" }, "token:ci");
    await board.round("2026-11-22T02:00:02Z");
    assert.is(board.job.createdBy, "schedule");
  }),
);

test(
  "idle ends a check for good",
  withBoard(async (board) => {
    const id = await check(board);
    await board.control.memberCommands.setSync("md0", { action: "idle" }, "token:ci");
    assert.equal([board.control.jobs.get(id).state, board.pass], ["cancelled", null]);
  }),
);

test(
  "a range is widened to whole MiB, and one outside the array is refused",
  withBoard(async (board) => {
    const { memberCommands } = board.control;
    const start = (from: number, to: number) =>
      memberCommands.setSync("md0", { action: "check", from, to }, "token:ci");
    await start(MIB + 5, 2 * MIB + 1);
    assert.equal(board.asked(), [`action check ${MIB}-${3 * MIB}`]);
    board.end("done");
    const [scrub] = board.control.scrubs.passes.page(board.uuid, 1);
    assert.equal([scrub?.from, scrub?.to, scrub?.position], [MIB, 3 * MIB, 3 * MIB]);
    // A part is no proof of the whole.
    assert.is(board.control.scrubs.passes.lastWhole(board.uuid), null);
    for (const [from, to] of [
      [5, 5],
      [9, 5],
      [0, 8 * MIB],
      [7 * MIB, 7 * MIB],
    ] as const) {
      assert.is(await codeOf(start(from, to)), "CONTROL_RANGE_INVALID");
    }
    assert.is(board.pass, null);
  }),
);

test(
  "a second check is refused by the array and leaves the first alone",
  withBoard(async (board) => {
    const id = await check(board);
    const { array } = board;
    array.setSyncAction = async () => {
      throw Object.assign(new Error("busy"), { code: "RAID_SYNC_IN_PROGRESS" });
    };
    const again = board.control.memberCommands.setSync("md0", { action: "repair" }, "token:x");
    assert.is(await codeOf(again), "RAID_SYNC_IN_PROGRESS");
    assert.equal([board.job.id, board.job.state, board.pass?.position], [id, "running", 3000]);
  }),
);

test(
  "an array with one copy has nothing to compare",
  withBoard(async (board) => {
    await board.array.fail(board.bench.image("disk2"));
    const start = board.control.memberCommands.setSync("md0", { action: "check" }, "token:ci");
    assert.is(await codeOf(start), "CONTROL_NOTHING_TO_COMPARE");
  }),
);

test(
  "what cannot be paused, resumed or cancelled is refused",
  withBoard(async (board) => {
    const id = await check(board);
    const { scrubCommands } = board.control;
    assert.is(await codeOf(scrubCommands.resumeJob(id)), "CONTROL_JOB_NOT_PAUSED");
    await scrubCommands.pauseJob(id);
    assert.is(await codeOf(scrubCommands.pauseJob(id)), "CONTROL_JOB_NOT_PAUSABLE");
    await scrubCommands.cancelJob(id);
    assert.is(await codeOf(scrubCommands.cancelJob(id)), "CONTROL_JOB_NOT_CANCELABLE");
    assert.is(await codeOf(scrubCommands.pauseJob(id)), "CONTROL_JOB_NOT_PAUSABLE");
    board.array.show({ sync: fakeSync({ action: "resync", reason: "initial" }) });
    const resync = board.control.syncJobs.jobOf(board.uuid) as string;
    assert.is(await codeOf(scrubCommands.cancelJob(resync)), "CONTROL_JOB_NOT_CANCELABLE");
  }),
);

test.run();
