/** The proxy knows who connects, and does to each direction what the table says. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../../src/common/prng.ts";
import { LinkProxy } from "../../helpers/fault-runs/link-proxy.ts";
import { GOOD_LINK, LinkTable } from "../../helpers/fault-runs/link-table.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const test = suite("fault runs: the proxy of a link");
const WAIT_MS = 5000;
const HERE = { from: "me", to: "there", isOneWay: false } as const;

interface Ends {
  readonly links: LinkTable;
  readonly client: Socket;
  readonly server: Socket;
  /** What each end has received. */
  readonly got: { client: string; server: string };
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.once("close", () => resolve()));

const withProxy = (body: (ends: Ends) => Promise<void>) =>
  withTimeout(4 * WAIT_MS, async () => {
    const links = new LinkTable();
    const target = createServer().listen(0, "127.0.0.1");
    await once(target, "listening");
    const address = target.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const proxy = await LinkProxy.start({
      ...{ place: "there", from: null, links, prng: new Prng(1) },
      listen: { host: "127.0.0.1", port: 0 },
      target: { host: "127.0.0.1", port },
      places: () => new Map([[process.pid, "me"]]),
    });
    const arrived = once(target, "connection");
    const client = connect(proxy.port, "127.0.0.1");
    const [server] = (await arrived) as [Socket];
    const got = { client: "", server: "" };
    client.on("data", (chunk) => {
      got.client += chunk;
    });
    server.on("data", (chunk) => {
      got.server += chunk;
    });
    for (const socket of [client, server]) socket.on("error", () => undefined);
    try {
      await body({ links, client, server, got });
    } finally {
      client.destroy();
      server.destroy();
      await proxy.close();
      target.close();
    }
  });

test(
  "what a cut link keeps arrives when it is mended, in order",
  withProxy(async ({ links, client, got }) => {
    client.write("a");
    await eventually("it arrives", WAIT_MS, () => got.server === "a");
    const mend = links.cut([HERE]);
    client.write("b");
    const passing = links.cut([{ ...HERE, from: "another" }]);
    client.write("c");
    passing();
    assert.is(got.server, "a");
    mend();
    await eventually("the rest arrives", WAIT_MS, () => got.server === "abc");
  }),
);

test(
  "a link that is cut one way carries the other one",
  withProxy(async ({ links, client, server, got }) => {
    const mend = links.cut([{ ...HERE, isOneWay: true }]);
    client.write("lost");
    server.write("told");
    await eventually("the answer arrives", WAIT_MS, () => got.client === "told");
    assert.is(got.server, "");
    mend();
    await eventually("the ask arrives", WAIT_MS, () => got.server === "lost");
  }),
);

test(
  "what was sent before an end arrives before it, and an end waits for a link that is cut",
  withProxy(async ({ links, client, server, got }) => {
    const ended = closed(server);
    const mend = links.cut([HERE]);
    client.end("last words");
    let isEnded = false;
    void ended.then(() => {
      isEnded = true;
    });
    server.write("x");
    assert.not(isEnded);
    mend();
    await eventually("all arrives", WAIT_MS, () => got.server === "last words");
    server.end();
    await ended;
  }),
);

test(
  "a link that resets ends its connections",
  withProxy(async ({ links, client, server }) => {
    links.lay([HERE], { ...GOOD_LINK, resetPerMille: 1000 });
    const ends = Promise.all([closed(client), closed(server)]);
    client.write("x");
    await ends;
  }),
);

test.run();
