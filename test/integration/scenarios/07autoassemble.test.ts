/**
 * mdadm's tests/07autoassemble: arrays come back by themselves when the host starts, cleanly
 * stopped
 * or not, with their exports; arrays of another home host are shown, and wait to be asked for.
 * (Arrays on arrays, which mdadm's test also starts, are none of ours.)
 */
import { copyFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { onDaemon } from "../../helpers/md-daemon.ts";
import { runSatsuma } from "../../helpers/satsuma-command.ts";

const test = suite("mdadm 07autoassemble");
const SIZE = 6 * 1024 * 1024;

test(
  "arrays come back after a stop and after a kill, each with its content and its export",
  onDaemon(async (daemon) => {
    const { serve } = daemon;
    const arrays = ["md1", "md2"];
    for (const name of arrays) {
      await daemon.makeArray(name, [`${name}-a`, `${name}-b`], SIZE);
      await daemon.write(name);
    }
    // Forced: the board may not have seen yet that the writer has gone.
    await serve.request("DELETE", "/exports/md2?force=true");
    await serve.request("POST", "/exports", { name: "second", array: "md2" });
    for (const end of [() => serve.shutDown(), () => serve.kill9()]) {
      await end();
      await serve.start();
      for (const name of arrays) {
        await daemon.until(name, "it is whole", ({ status }) => status.health === "optimal");
      }
      await daemon.verify("md1");
      await daemon.verify("md2", "second");
    }
  }),
);

test(
  "an array that was stopped by request stays stopped",
  onDaemon(async (daemon) => {
    const { serve } = daemon;
    await daemon.makeArray("md1", ["a", "b"], SIZE);
    await serve.request("DELETE", "/exports/md1");
    await serve.request("DELETE", "/arrays/md1", { confirm: "md1" });
    await serve.shutDown();
    await serve.start();
    assert.is((await daemon.array("md1")).status.health, "inactive");
    await serve.request("POST", "/arrays", { assemble: "md1" });
    assert.is((await daemon.array("md1")).status.health, "optimal");
  }),
);

test(
  "an array of another home host is shown, and taken over only when asked for",
  onDaemon(async (daemon) => {
    const { serve } = daemon;
    await daemon.makeArray("md1", ["a", "b"], SIZE);
    await daemon.write("md1");
    await serve.shutDown();
    const names = ["x", "y"];
    for (const name of names) copyFileSync(daemon.device("a"), daemon.device(name));
    await runSatsuma(
      ...["create", "--level", "raid1", "--raid-devices", "2", "--assume-clean", "--force"],
      ...["--name", "md1", "--homehost", "elsewhere", ...names.map((name) => daemon.device(name))],
    );
    await serve.start();
    await daemon.until("md1", "ours runs", ({ status }) => status.health === "optimal");
    await daemon.verify("md1");
    const [found, ...others] = await daemon.candidates();
    assert.equal(others, []);
    assert.equal([found?.name, found?.homehost, found?.registered], ["md1", "elsewhere", false]);
    assert.ok(found?.startable);
    const order = { import: names, export: "taken" };
    const taken = (await serve.request("POST", "/arrays", order)) as { id: string };
    assert.is(taken.id, found?.id);
    assert.is((await daemon.array(taken.id)).status.health, "optimal");
    await daemon.verify("md1");
    // From now on it is ours, and starts by itself.
    await serve.kill9();
    await serve.start();
    await daemon.until(taken.id, "it runs", ({ status }) => status.health === "optimal");
  }),
);

test.run();
