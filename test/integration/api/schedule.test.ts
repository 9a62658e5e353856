/** Schedules, scrubs, spare groups, pause and resume over REST. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ApiBench, openApiBoard } from "../../helpers/api-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const SCHEDULE = "/api/v1/arrays/md0/schedule";
const at = (text: string): number => Date.parse(text);

const withBoard = (body: (api: ApiBench) => Promise<void>) =>
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    api.clock.now = at("2026-11-16T12:00:00Z");
    await body(api);
  });

const weekly = { cron: "0 2 * * 0", window: { start: "01:00", end: "05:00" } };

const test = suite("api/schedule");

test(
  "a new array has no schedule",
  withBoard(async (api) => {
    const { status, body } = await api.ask("GET", SCHEDULE);
    assert.equal([status, body.config, body.status.next_start_at], [200, null, null]);
  }),
);

test(
  "a schedule is kept as given, with what it leads to",
  withBoard(async (api) => {
    const put = await api.ask("PUT", SCHEDULE, {
      body: { ...weekly, time_zone: "Europe/Berlin", max_speed: 50_000_000 },
    });
    assert.is(put.status, 200);
    assert.equal(put.body.config, {
      action: "check",
      cron: "0 2 * * 0",
      every_days: null,
      window: { start: "01:00", end: "05:00" },
      time_zone: "Europe/Berlin",
      min_speed: null,
      max_speed: 50_000_000,
      enabled: true,
    });
    assert.equal(
      [put.body.status.due_at, put.body.status.window_open, put.body.status.waiting_for.code],
      ["2026-11-22T01:00:00.000Z", false, "not-due"],
    );
    assert.equal((await api.ask("GET", SCHEDULE)).body, put.body);
    const gone = await api.ask("DELETE", SCHEDULE);
    assert.equal([gone.status, gone.body.config], [200, null]);
  }),
);

test(
  "what cannot be kept is refused as such",
  withBoard(async (api) => {
    for (const body of [{}, { ...weekly, every_days: 3 }, { cron: "x" }, { cron: "0 0 31 2 *" }]) {
      const { status, body: problem } = await api.ask("PUT", SCHEDULE, { body });
      assert.equal([status, problem.code], [422, "CONTROL_SCHEDULE_INVALID"]);
    }
    const shape = await api.ask("PUT", SCHEDULE, {
      body: { ...weekly, window: { start: "25:00" } },
    });
    assert.is(shape.body.code, "API_VALIDATION_FAILED");
    assert.is((await api.ask("GET", "/api/v1/arrays/nope/schedule")).status, 404);
  }),
);

test(
  "the schedule of a degraded array says why nothing starts",
  withBoard(async (api) => {
    await api.ask("PUT", SCHEDULE, { body: weekly });
    await api.engine.array("md0").fail(api.image("disk2"));
    api.clock.now = at("2026-11-22T02:00:00Z");
    const { waiting_for } = (await api.ask("GET", SCHEDULE)).body.status;
    assert.equal(waiting_for.code, "degraded");
  }),
);

test(
  "a check is paused, resumed and kept in the history; the last whole one is a metric",
  withBoard(async (api) => {
    const start = await api.ask("PUT", "/api/v1/arrays/md0/sync-action", {
      body: { action: "check" },
    });
    const path = `/api/v1/jobs/${start.body.sync.job_id}`;
    assert.is((await api.ask("GET", path)).body.pausable, true);
    const paused = await api.ask("POST", `${path}/actions/pause`);
    assert.equal(
      [paused.status, paused.body.state, paused.body.pausable, paused.body.cancelable],
      [200, "paused", false, true],
    );
    const twice = await api.ask("POST", `${path}/actions/pause`);
    assert.equal([twice.status, twice.body.code], [409, "CONTROL_JOB_NOT_PAUSABLE"]);
    const scrub = (await api.ask("GET", SCHEDULE)).body.status.scrub;
    assert.equal([scrub.state, scrub.created_by], ["paused", "token:admin"]);
    const resumed = await api.ask("POST", `${path}/actions/resume`);
    assert.equal([resumed.status, resumed.body.state], [200, "running"]);
    assert.is(
      (await api.ask("POST", `${path}/actions/resume`)).body.code,
      "CONTROL_JOB_NOT_PAUSED",
    );
    const metric = async (): Promise<string | undefined> => {
      const { body } = await api.ask("GET", "/metrics");
      return /satsuma_array_last_check_timestamp_seconds\{array="md0"\} (.*)/.exec(body)?.[1];
    };
    assert.is(await metric(), undefined);
    const array = api.engine.array("md0");
    array.happen({ type: "sync.finished", details: { outcome: "done" } });
    array.show({ sync: null, mismatchCount: 8 });
    assert.is(Number(await metric()), at("2026-11-16T12:00:00Z") / 1000);
    const { items } = (await api.ask("GET", "/api/v1/arrays/md0/scrubs")).body;
    assert.equal(
      items.map(({ state, mismatch_count }: Record<string, unknown>) => [state, mismatch_count]),
      [["succeeded", 8]],
    );
  }),
);

test(
  "a check takes a range, and refuses one outside the array",
  withBoard(async (api) => {
    const path = "/api/v1/arrays/md0/sync-action";
    const wrong = await api.ask("PUT", path, { body: { action: "check", from: 2 ** 40 } });
    assert.equal([wrong.status, wrong.body.code], [422, "CONTROL_RANGE_INVALID"]);
    await api.ask("PUT", path, { body: { action: "check", from: 2 ** 20 } });
    assert.ok(api.engine.array("md0").calls.includes(`action check ${2 ** 20}-null`));
  }),
);

test(
  "a spare group is set, shown and taken back",
  withBoard(async (api) => {
    const path = "/api/v1/arrays/md0/spare-group";
    assert.equal((await api.ask("GET", path)).body, { spare_group: null });
    const set = await api.ask("PUT", path, { body: { spare_group: "shelf" } });
    assert.equal([set.status, set.body], [200, { spare_group: "shelf" }]);
    assert.is((await api.ask("PUT", path, { body: { spare_group: "a b" } })).status, 422);
    await api.ask("PUT", path, { body: { spare_group: null } });
    assert.equal((await api.ask("GET", path)).body, { spare_group: null });
  }),
);

test.run();
