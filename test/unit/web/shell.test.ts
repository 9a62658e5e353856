import { suite } from "uvu";
import * as assert from "uvu/assert";
import { backOffMs } from "../../../web/src/live/back-off.ts";
import { faviconOf, HEALTH_SHAPES } from "../../../web/src/parts/health-shapes.ts";
import { arrayPagePath, routeOf } from "../../../web/src/shell/page-path.ts";

const test = suite("shell");

test("pauses double up to a limit, and chance shortens them", () => {
  assert.is(backOffMs(0, 0), 500);
  assert.is(backOffMs(1, 0), 1000);
  assert.is(backOffMs(100, 0), 15_000);
  for (const attempt of [0, 3, 50]) {
    const shortest = backOffMs(attempt, 0.999);
    assert.ok(shortest >= (backOffMs(attempt, 0) * 2) / 3 - 1 && shortest > 300);
  }
});

test("each path has its page", () => {
  assert.equal(routeOf("/"), { page: "overview" });
  assert.equal(routeOf("/devices/"), { page: "devices" });
  assert.equal(routeOf("/boards"), { page: "boards" });
  assert.equal(routeOf("/arrays/new"), { page: "create-array" });
  assert.equal(routeOf("/arrays/a%20b"), { page: "array", id: "a b" });
  assert.equal(routeOf(arrayPagePath("ä/ö")), { page: "array", id: "ä/ö" });
  assert.equal(routeOf("/arrays/%E0%A4%A"), { page: "not-found", path: "/arrays/%E0%A4%A" });
  assert.equal(routeOf("/nowhere"), { page: "not-found", path: "/nowhere" });
});

test("each word of health has an icon of its own", () => {
  const shapes = Object.values(HEALTH_SHAPES);
  assert.is(shapes.length, 8);
  assert.is(new Set(shapes.map(({ body, mark }) => body + mark)).size, 8);
  assert.match(faviconOf("degraded"), /^data:image\/svg\+xml,%3Csvg/);
});

test.run();
