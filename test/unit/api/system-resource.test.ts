import { suite } from "uvu";
import * as assert from "uvu/assert";
import { eventResource } from "../../../src/api/resources/event-resource.ts";
import { systemResource } from "../../../src/api/resources/system-resource.ts";
import { openBench } from "../../helpers/control-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("api/system-resource");

test(
  "a board is told by the name that its cluster has for it, whatever its host is called",
  inFolder(async (folder) => {
    await using bench = await openBench({ folder, boards: { here: "kitchen" } });
    const { control } = bench;
    const { node, cluster } = systemResource(control);
    assert.equal([node, cluster], ["kitchen", control.engine.cluster]);
    const told = { type: "x", severity: "info", subject: "/", message: "x" } as const;
    assert.is(eventResource(control, control.events.record(told)).node, "kitchen");
  }),
);

test.run();
