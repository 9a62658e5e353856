/** The client of the online verbs over a daemon that hangs. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ApiClient } from "../../../src/cli/api-client.ts";
import type { CodedError } from "../../../src/common/errors.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const READ_LIMIT_MS = 100;

const test = suite("cli/api-client");

const failureOf = async (request: Promise<unknown>): Promise<CodedError> =>
  await request.then(
    () => assert.unreachable() as never,
    (error: CodedError) => error,
  );

test(
  "what only reads is given up early at a daemon that hangs, and says so; other verbs wait on",
  withTimeout(20_000, async () => {
    const held = new Map<string, ServerResponse>();
    const server = createServer((request, response) => {
      if (request.url === "/begun") response.write("{");
      held.set(request.url ?? "", response);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = new ApiClient({ url, token: "t" }, READ_LIMIT_MS);
    try {
      const verb = client.request("POST", "/verb");
      const follow = client.request("GET", "/follow", { wait: 60 });
      for (const path of ["/silent", "/begun"]) {
        const { code, message } = await failureOf(client.request("GET", path));
        assert.is(code, "CLI_API_SILENT");
        assert.match(message, `the daemon at ${url} does not answer`);
      }
      for (const path of ["/verb", "/follow"])
        await eventually(`${path} has come`, 10_000, () => held.get(path)?.end('{"is": "done"}'));
      assert.equal(await Promise.all([verb, follow]), [{ is: "done" }, { is: "done" }]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
    const gone = await failureOf(client.request("GET", "/silent"));
    assert.is(gone.code, "CLI_API_UNREACHABLE");
  }),
);

test.run();
