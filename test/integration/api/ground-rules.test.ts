/** What holds for every route: tokens, problems, limits, ids, retries with a key, the panel. */
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { listen } from "../../../src/api/listen.ts";
import { BODY_BYTES_MAX } from "../../../src/api/server.ts";
import { type ApiBench, openApiBench, openApiBoard } from "../../helpers/api-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const SYSTEM = "/api/v1/system";
const DEVICES = "/api/v1/devices";

const problem = (answer: { readonly status: number; readonly body: { readonly type: string } }) => [
  answer.status,
  answer.body.type?.replace("urn:satsuma:problem:", ""),
];

const send = async (api: ApiBench, payload: string, type = "application/json") => {
  const response = await api.app.inject({
    method: "POST",
    url: DEVICES,
    payload,
    headers: { authorization: `Bearer ${api.token}`, "content-type": type },
  });
  return { status: response.statusCode, body: response.json() };
};

/** Sends bytes and returns all that comes back until the server closes. */
const exchange = async (port: number, request: string): Promise<string> => {
  const socket = connect({ host: "127.0.0.1", port });
  socket.write(request);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
};

/** The whole thread does nothing for so long, as one that gets no time from the machine. */
const standStill = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};
/** Timers that are due have run: between two ends of a turn of the loop. */
const timersRun = async (): Promise<void> => {
  for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
};

const test = suite("api/ground-rules");

test(
  "every route below /api/v1 wants a token that is right; health and the description do not",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const { paths } = api.app.swagger() as unknown as { paths: Record<string, object> };
    assert.ok(Object.keys(paths).length >= 20);
    const right = api.token;
    const wrongs = [
      null,
      "",
      "satsuma",
      right.slice(0, -1),
      `${right}x`,
      right.replace(/.$/, (last) => (last === "A" ? "B" : "A")),
      `satsuma_00000000_${right.slice(-43)}`,
    ];
    for (const [template, methods] of Object.entries(paths)) {
      for (const method of Object.keys(methods)) {
        const url = template.replace(/\{[^}]+\}/g, "x");
        const verb = method.toUpperCase() as "GET";
        const answer = await api.ask(verb, url, { token: null });
        assert.equal(problem(answer), [401, "unauthenticated"], `${verb} ${url}`);
      }
    }
    for (const token of wrongs) {
      assert.is((await api.ask("GET", SYSTEM, { token })).status, 401, String(token));
    }
    const refused = await api.ask("GET", SYSTEM, { token: null });
    assert.is(refused.headers["www-authenticate"], 'Bearer realm="satsuma"');
    for (const open of ["/healthz", "/readyz", "/api/v1/openapi.json"]) {
      assert.is((await api.ask("GET", open, { token: null })).status, 200, open);
    }
    const basic = { authorization: `Basic ${right}` };
    assert.is((await api.ask("GET", SYSTEM, { token: null, headers: basic })).status, 401);
  }),
);

test(
  "metrics are open to this machine by its own names, others need a token",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const ask = async (remoteAddress: string, host: string, token: string | null) =>
      (
        await api.app.inject({
          url: "/metrics",
          remoteAddress,
          headers: { host, ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
        })
      ).statusCode;
    assert.equal(
      [
        await ask("127.0.0.1", "localhost:8090", null),
        await ask("::1", "[::1]:8090", null),
        await ask("127.0.0.1", "evil.example", null),
        await ask("192.0.2.7", "localhost", null),
        await ask("192.0.2.7", "board.local", api.token),
      ],
      [200, 200, 401, 401, 200],
    );
  }),
);

test(
  "requests that cannot be read get one problem each",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    assert.equal(problem(await send(api, "{")), [400, "malformed-request"]);
    assert.equal(problem(await send(api, "")), [422, "validation-failed"], "no body at all");
    assert.equal(problem(await send(api, '{"__proto__": {}}')), [422, "validation-failed"]);
    const inner = await send(api, '{"name": {"__proto__": {}}}');
    assert.match(inner.body.detail, "__proto__");
    assert.equal(problem(await send(api, "[".repeat(30_000))), [400, "malformed-request"]);
    const deep = `{"name": ${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
    assert.equal(problem(await send(api, deep)), [400, "malformed-request"]);
    assert.equal(problem(await send(api, '{"name": "[[\\"{{"}')), [422, "validation-failed"]);
    assert.equal(problem(await send(api, "[]")), [422, "validation-failed"]);
    assert.equal(problem(await send(api, "null")), [422, "validation-failed"]);
    assert.equal(problem(await send(api, "size=1", "text/plain")), [415, "unsupported-media-type"]);
    const large = JSON.stringify({ name: "x".repeat(BODY_BYTES_MAX) });
    assert.equal(problem(await send(api, large)), [413, "too-large"]);
    assert.equal(problem(await api.ask("GET", "/api/v1/%zz")), [400, "malformed-request"]);
    assert.equal(problem(await api.ask("GET", "/api/v1/nothing")), [404, "not-found"]);
    assert.equal(problem(await api.ask("PUT", SYSTEM)), [404, "not-found"]);
    assert.equal(problem(await api.ask("GET", `${DEVICES}?limit=0`)), [422, "validation-failed"]);
    assert.equal(problem(await api.ask("GET", `${DEVICES}?limit=x`)), [422, "validation-failed"]);
    assert.equal(problem(await api.ask("GET", `${DEVICES}?bogus=1`)), [422, "validation-failed"]);
    assert.equal(problem(await api.ask("GET", `${DEVICES}?cursor=%21`)), [
      422,
      "validation-failed",
    ]);
  }),
);

test(
  "no verb takes a field that it does not know, also where it takes no body",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const { paths } = api.app.swagger() as unknown as { paths: Record<string, object> };
    const changing = Object.entries(paths).flatMap(([template, methods]) =>
      Object.entries(methods).flatMap(([method, { requestBody }]) =>
        method === "get"
          ? []
          : [[method.toUpperCase(), template.replace(/\{[^}]+\}/g, "x"), requestBody] as const],
      ),
    );
    assert.ok(changing.filter(([, , body]) => body === undefined).length >= 5);
    for (const [verb, url, taken] of changing) {
      const answer = await api.ask(verb as "POST", url, { body: { bogus_field: 1 } });
      assert.equal(problem(answer), [422, "validation-failed"], `${verb} ${url}`);
      assert.is(answer.body.code, "API_VALIDATION_FAILED");
      if (taken !== undefined) continue;
      assert.is(answer.body.errors[0].pointer, "/bogus_field", `${verb} ${url}`);
      const other = await api.ask(verb as "POST", url, { body: ["x"] });
      assert.equal(problem(other), [422, "validation-failed"], `${verb} ${url}`);
      for (const body of [{}, null, undefined]) {
        const { status } = await api.ask(verb as "POST", url, { body });
        assert.is.not(status, 422, `${verb} ${url} ${JSON.stringify(body)}`);
      }
    }
    assert.is((await api.ask("POST", "/api/v1/nothing", { body: { a: 1 } })).status, 404);
  }),
);

test(
  "a body of no shape is told of all of them",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const { status, body } = await api.ask("POST", "/api/v1/arrays", { body: {} });
    assert.is(status, 422);
    assert.match(body.detail, "needs name, level, device_ids; or assemble; or import");
    const meant = await api.ask("POST", "/api/v1/arrays", { body: { assemble: 1 } });
    assert.match(meant.body.errors[0].pointer, "/assemble");
  }),
);

test(
  "requests that HTTP itself refuses get problems too, with code and request id",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const { port } = await listen(api.app, { host: "127.0.0.1", port: 0 });
    const long = "x".repeat(20_000);
    for (const [request, status, code] of [
      ["BREW /api/v1/system HTTP/1.1\r\nhost: b\r\n\r\n", 400, "API_MALFORMED_REQUEST"],
      ["nonsense\r\n\r\n", 400, "API_MALFORMED_REQUEST"],
      [`GET /${long} HTTP/1.1\r\nhost: b\r\n\r\n`, 431, "API_HEADERS_TOO_LARGE"],
      [`GET / HTTP/1.1\r\nhost: b\r\nx: ${long}\r\n\r\n`, 431, "API_HEADERS_TOO_LARGE"],
    ] as const) {
      const [head = "", body = ""] = (await exchange(port, request)).split("\r\n\r\n");
      const document = JSON.parse(body);
      assert.match(head, `HTTP/1.1 ${status} `);
      assert.match(head, "content-type: application/problem+json");
      assert.equal([document.status, document.code], [status, code]);
      assert.match(head, `x-request-id: ${document.request_id}`);
      const help = await api.ask("GET", document.help, { token: null });
      assert.match(help.body, code);
    }
  }),
);

test(
  "a validation problem names every field at fault",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const { body } = await api.ask("POST", DEVICES, { body: { name: "a b", sizes: 1 } });
    assert.equal(
      body.errors.map(({ pointer, code }: { pointer: string; code: string }) => [pointer, code]),
      [
        ["/size", "required"],
        ["/sizes", "additionalProperties"],
        ["/name", "pattern"],
      ],
    );
    assert.is(body.instance, DEVICES);
    assert.is(body.help, "/problems/validation-failed");
    const help = await api.ask("GET", body.help, { token: null });
    assert.match(help.body, "API_VALIDATION_FAILED");
    assert.is((await api.ask("GET", "/problems/none", { token: null })).status, 404);
  }),
);

test(
  "replies carry the request's id, the node's name and strict headers",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const given = await api.ask("GET", SYSTEM, { headers: { "x-request-id": "ci-42" } });
    assert.is(given.headers["x-request-id"], "ci-42");
    assert.is(given.headers["x-satsuma-node"], "opi-a");
    assert.is(given.headers["cache-control"], "no-store");
    assert.is(given.headers["x-content-type-options"], "nosniff");
    assert.match(given.headers["content-security-policy"] as string, /^default-src 'self';/);
    const wild = await api.ask("GET", "/api/v1/x", { headers: { "x-request-id": "a b\u0001" } });
    assert.not.equal(wild.headers["x-request-id"], "a b\u0001");
    assert.is(wild.body.request_id, wild.headers["x-request-id"]);
  }),
);

test(
  "too many requests are refused with the time to wait; health and metrics are not counted",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder, requestsPerMinute: 5 });
    for (let count = 0; count < 5; count += 1) await api.ask("GET", SYSTEM);
    const refused = await api.ask("GET", SYSTEM);
    assert.equal(problem(refused), [429, "rate-limited"]);
    assert.ok(Number(refused.headers["retry-after"]) > 0);
    for (const open of ["/healthz", "/readyz", "/metrics"]) {
      assert.is((await api.ask("GET", open)).status, 200, open);
    }
  }),
);

test(
  "a retry with the same key gets the same reply and does nothing again",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    const headers = { "idempotency-key": "k-1" };
    const body = { size: 2 ** 20 };
    const first = await api.ask("POST", DEVICES, { body, headers });
    const again = await api.ask("POST", DEVICES, { body, headers });
    assert.equal([again.status, again.body], [first.status, first.body]);
    assert.is(again.headers["idempotency-replayed"], "true");
    assert.is(again.headers["location"], first.headers["location"]);
    assert.is(first.headers["idempotency-replayed"], undefined);
    assert.is((await api.ask("GET", DEVICES)).body.items.length, 1);
    const other = await api.ask("POST", DEVICES, { body: { size: 2 ** 21 }, headers });
    assert.equal(problem(other), [422, "idempotency-key-reused"]);

    const wrong = { body: { size: 0 }, headers: { "idempotency-key": "k-2" } };
    const refused = await api.ask("POST", DEVICES, wrong);
    const told = await api.ask("POST", DEVICES, wrong);
    assert.equal([told.status, told.body.code], [refused.status, refused.body.code]);
    const shape = await api.ask("POST", DEVICES, { body, headers: { "idempotency-key": "a b" } });
    assert.is(shape.status, 422);
  }),
);

test(
  "a retry while the first request is under way is refused",
  inFolder(async (folder) => {
    await using api = await openApiBoard(folder);
    const gate = Promise.withResolvers<void>();
    const array = api.engine.array("md0");
    array.fail = () => gate.promise;
    const url = "/api/v1/arrays/md0/members/disk2/actions/fail";
    const headers = { "idempotency-key": "k-3" };
    const first = api.ask("POST", url, { headers });
    await new Promise((resolve) => setImmediate(resolve));
    let second = await api.ask("POST", url, { headers });
    assert.equal(problem(second), [409, "idempotency-in-progress"]);
    gate.resolve();
    assert.is((await first).status, 200);
    second = await api.ask("POST", url, { headers });
    assert.equal([second.status, second.headers["idempotency-replayed"]], [200, "true"]);
  }),
);

test(
  "verbs wait until the board has started, health tells the steps",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    await api.control.close();
    const refused = await api.ask("GET", SYSTEM);
    assert.equal(problem(refused), [503, "not-ready"]);
    assert.ok(Number(refused.headers["retry-after"]) > 0);
    const ready = await api.ask("GET", "/readyz", { token: null });
    assert.equal([ready.status, ready.body.ready], [503, false]);
    assert.is((await api.ask("GET", "/healthz", { token: null })).body, "ok\n");
  }),
);

test(
  "serves the panel and its page for every path of the panel, and nothing outside its folder",
  inFolder(async (folder) => {
    const panel = join(folder, "panel");
    mkdirSync(join(panel, "assets"), { recursive: true });
    writeFileSync(join(panel, "index.html"), "<title>panel</title>");
    writeFileSync(join(panel, "assets", "a-1234.js"), "1");
    writeFileSync(join(folder, "secret"), "secret");
    await using api = await openApiBench({ folder, panelDirectory: panel });
    const page = (url: string) =>
      api.ask("GET", url, { token: null, headers: { accept: "text/html" } });
    for (const url of ["/", "/arrays/md0", "/index.html"]) {
      const answer = await page(url);
      assert.equal([answer.status, answer.body], [200, "<title>panel</title>"], url);
      assert.is(answer.headers["cache-control"], "no-cache", url);
    }
    const asset = await page("/assets/a-1234.js");
    assert.match(asset.headers["cache-control"] as string, "immutable");
    for (const url of ["/../secret", "/%2e%2e/secret", "/assets/../../secret"]) {
      assert.not.match((await page(url)).body as string, "secret\n");
    }
    assert.equal(problem(await page("/api/v1x")), [401, "unauthenticated"]);
    const missing = await api.ask("GET", "/nothing", { token: null });
    assert.equal(problem(missing), [404, "not-found"]);
  }),
);

test(
  "a board that was held up for a second answers as soon as it goes on",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    // Twice: between two looks at how late the loop is, nothing measures it.
    for (let times = 0; times < 2; times++) {
      standStill(1100);
      await timersRun();
    }
    assert.is((await api.ask("GET", SYSTEM)).status, 200);
  }),
);

test.run();
