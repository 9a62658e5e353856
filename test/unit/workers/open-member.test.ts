/** Members that were given up: whether a late call may still reach them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { FaultSwitch } from "../../../src/hal/layers/fault-device.ts";
import { openMember, owed } from "../../../src/workers/open-member.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually } from "../../helpers/timeout.ts";

const test = suite("workers/open-member");

test(
  "a write that was given up is owed, at its path and at any, until the device has answered",
  inFolder(async (folder) => {
    const [path, other] = [join(folder, "disk1"), join(folder, "disk2")];
    for (const name of [path, other]) writeFileSync(name, new Uint8Array(65536));
    const faults = new FaultSwitch();
    const device = await openMember({ path, faults: faults.buffer }, "write", {});
    assert.is(await owed(null), null);
    const stall = { after: 0, count: 1, range: null, stallMs: 600_000 };
    faults.arm({ kind: "stall", ...stall });
    const write = device.write([new Uint8Array(512)], 0).catch((error: unknown) => error);
    assert.is(await owed(path), null, "it is waited for by whoever made it");
    device.revoke("test");
    const ended = await write;
    assert.ok(ended instanceof CodedError && ended.code === "HAL_NO_ANSWER");
    const [here, there, anywhere] = await Promise.all([owed(path), owed(other), owed(null)]);
    assert.match(here ?? "", /has not answered calls from before/);
    assert.equal([there, anywhere], [null, here]);
    faults.disarmAll();
    await eventually("it has answered", 10_000, async () => (await owed(path)) === null);
    await device.close();
  }),
);

test.run();
