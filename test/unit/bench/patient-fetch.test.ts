/** Requests to a board that sheds them for a while. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { patientFetch } from "../../helpers/patient-fetch.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("bench/patient-fetch");

const BUSY = JSON.stringify({ code: "API_OVERLOADED" });

/** A server that sheds so many requests with that header, or without it (null). */
const shedding = async (
  requests: number,
  retryAfter: string | null,
  problem: string,
  body: (url: string, asked: () => number) => Promise<void>,
): Promise<void> => {
  let asked = 0;
  const server = createServer((_, reply) => {
    asked += 1;
    const isShed = asked <= requests;
    if (isShed && retryAfter !== null) reply.setHeader("retry-after", retryAfter);
    reply.statusCode = isShed ? 503 : 200;
    reply.end(isShed ? problem : "done");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    await body(`http://127.0.0.1:${port}/`, () => asked);
  } finally {
    server.closeAllConnections();
    server.close();
  }
};

const run = (
  requests: number,
  retryAfter: string | null,
  body: (url: string, asked: () => number) => Promise<void>,
  problem = BUSY,
) => withTimeout(60_000, () => shedding(requests, retryAfter, problem, body));

test(
  "who is told when to ask again asks again",
  run(3, "0", async (url, asked) => {
    const response = await patientFetch(url, {});
    assert.equal([response.status, await response.text(), asked()], [200, "done", 4]);
  }),
);

test(
  "a wait beyond the limit is not begun",
  run(3, "3600", async (url, asked) => {
    const response = await patientFetch(url, {}, 1000);
    assert.equal([response.status, await response.text(), asked()], [503, BUSY, 1]);
  }),
);

test(
  "503 without a time is an answer",
  run(3, null, async (url, asked) => {
    assert.equal([(await patientFetch(url, {})).status, asked()], [503, 1]);
  }),
);

test(
  "a refusal that is not about the load is an answer",
  run(
    3,
    "0",
    async (url, asked) => {
      assert.equal([(await patientFetch(url, {})).status, asked()], [503, 1]);
    },
    JSON.stringify({ code: "CLUSTER_STORE_REPLACED" }),
  ),
);

test.run();
