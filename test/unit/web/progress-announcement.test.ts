import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { announcements, isUrgent } from "../../../web/src/board/progress-announcement.ts";
import { arraySample, syncSample } from "../../helpers/panel-samples.ts";

const test = suite("progress-announcement");

const mapOf = (array: ArrayResource): ReadonlyMap<string, ArrayResource> =>
  new Map([[array.id, array]]);
const recovering = (percent: number) =>
  mapOf(arraySample("a", { health: "recovering", sync: syncSample("recover", percent) }));

test("a sync is announced when it starts and at every tenth percent, not in between", () => {
  const optimal = mapOf(arraySample("a", { health: "recovering" }));
  assert.equal(announcements(optimal, recovering(0.4)), [
    { kind: "sync", array: "a", action: "recover", percent: 0 },
  ]);
  assert.equal(announcements(recovering(11), recovering(19.9)), []);
  assert.equal(announcements(recovering(19.9), recovering(20)), [
    { kind: "sync", array: "a", action: "recover", percent: 20 },
  ]);
});

test("a change of health is announced, bad news at once", () => {
  const [first] = announcements(
    mapOf(arraySample("a")),
    mapOf(arraySample("a", { health: "degraded" })),
  );
  assert.equal(first, { kind: "health", array: "a", health: "degraded" });
  assert.ok(first !== undefined && isUrgent(first));
  const [second] = announcements(recovering(99), mapOf(arraySample("a")));
  assert.ok(second !== undefined && !isUrgent(second));
});

test("an array that is new to the panel is not announced", () => {
  assert.equal(announcements(new Map(), recovering(50)), []);
});

test.run();
