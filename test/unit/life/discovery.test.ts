/** Boards that find each other on the network; what strangers say is looked at twice. */
import { networkInterfaces } from "node:os";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { silentLogger } from "../../../src/common/log.ts";
import { Discovery, decodeText } from "../../../src/life/discovery-driver.ts";
import { skipWhen } from "../../helpers/skip.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("boards of the network");

const open = async (name: string, cluster: string | null): Promise<Discovery> => {
  const self = () => ({ name, cluster, api: `http://192.0.2.1:${name.length}`, version: "1" });
  const opened = await Discovery.open({ self, port: 8090, logger: silentLogger });
  assert.ok(opened);
  return opened;
};

const hasNetwork = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .some(({ family, internal }) => family === "IPv4" && !internal);

skipWhen(hasNetwork ? undefined : "no network to ask", test)(
  "each sees the other one, and not itself",
  withTimeout(20_000, async () => {
    // Names that nobody else has: other boards of this network answer as well.
    const mark = `t${process.pid}`;
    const first = await open(`${mark}-a`, "attic");
    const second = await open(`${mark}-bb`, null);
    try {
      const seen = async (by: Discovery): Promise<string[]> => {
        const found = (await by.look()).filter(({ name }) => name.startsWith(mark));
        return found.map(({ name, cluster }) => `${name} ${cluster}`);
      };
      assert.equal(await seen(first), [`${mark}-bb null`]);
      assert.equal(await seen(second), [`${mark}-a attic`]);
    } finally {
      await first.close();
      await second.close();
    }
  }),
);

test("what is no board's text is left out", () => {
  const good = ["name=a", "cluster=attic", "api=http://192.0.2.1:80", "version=1"];
  assert.equal(
    decodeText(
      good.map((part) => Buffer.from(part)),
      "192.0.2.1",
    )?.cluster,
    "attic",
  );
  const bad = [null, [], ["name="], ["name=../x"], [`name=a`, `x=${"y".repeat(300)}`]];
  for (const data of bad) assert.is(decodeText(data, "192.0.2.1"), null, JSON.stringify(data));
  assert.is(decodeText(["name=a", "cluster=a/b"], "192.0.2.1"), null);
  assert.is(decodeText(["name=a", "api=javascript:x"], "192.0.2.1")?.api, "");
});

test.run();
