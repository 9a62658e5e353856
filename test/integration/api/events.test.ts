/**
 * Events: history by JSON, and the live stream over a real socket: replay by Last-Event-ID, state
 * frames, filters, resets, clients that do not read, and the end of the server.
 */
import { connect, type Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { FRAMES_WAITING_MAX, STREAM_CLIENTS_MAX } from "../../../src/api/event-stream.ts";
import { listen } from "../../../src/api/listen.ts";
import { readFrames, type StreamFrame } from "../../../src/cli/event-stream-client.ts";
import type { NewEvent } from "../../../src/control/event-service.ts";
import { type ApiBench, openApiBench, openApiBoard } from "../../helpers/api-bench.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const EVENTS = "/api/v1/events";

const event = (over: Partial<NewEvent> = {}): NewEvent => ({
  type: "member.failed",
  severity: "warning",
  subject: "/api/v1/arrays/a",
  message: "m",
  ...over,
});

interface Stream {
  readonly response: Response;
  /** The next frame that `matches`; others are passed over. */
  next(matches?: (frame: StreamFrame) => boolean): Promise<StreamFrame>;
  close(): void;
}

async function openStream(
  api: ApiBench,
  port: number,
  query = "",
  headers: Record<string, string> = {},
): Promise<Stream> {
  const abort = new AbortController();
  const response = await fetch(`http://127.0.0.1:${port}${EVENTS}${query}`, {
    headers: { authorization: `Bearer ${api.token}`, accept: "text/event-stream", ...headers },
    signal: abort.signal,
  });
  const frames = readFrames(response.body as ReadableStream<Uint8Array>);
  return {
    response,
    next: async (matches = () => true) => {
      for (;;) {
        const { value, done } = await frames.next();
        if (done) throw new Error("the stream ended");
        if (matches(value)) return value;
      }
    },
    close: () => abort.abort(),
  };
}

const isHistory = (frame: StreamFrame): boolean => frame.id !== null;
const isLive = (type: string) => (frame: StreamFrame) => frame.event === type;

const overSocket = (body: (api: ApiBench, port: number) => Promise<void>) =>
  withTimeout(
    20_000,
    inFolder(async (folder) => {
      await using api = await openApiBench({ folder, images: ["disk1", "disk2"] });
      const { port } = await listen(api.app, { host: "127.0.0.1", port: 0 });
      await body(api, port);
    }),
  );

const test = suite("api/events");

test(
  "pages through the history in both orders, with filters",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    for (let count = 0; count < 5; count += 1) api.control.events.record(event());
    api.control.events.record(event({ type: "array.degraded", severity: "critical" }));
    const ids = (answer: { readonly body: { readonly items: { id: number }[] } }) =>
      answer.body.items.map(({ id }) => id);
    const first = await api.ask("GET", `${EVENTS}?limit=4`);
    assert.equal(ids(first), [6, 5, 4, 3]);
    const second = await api.ask("GET", `${EVENTS}?limit=4&cursor=${first.body.next_cursor}`);
    assert.equal([ids(second), second.body.next_cursor], [[2, 1], null]);
    assert.equal(ids(await api.ask("GET", `${EVENTS}?order=asc&cursor=4`)), [5, 6]);
    const degraded = await api.ask("GET", `${EVENTS}?types=array.*,sync.*`);
    assert.equal([ids(degraded), degraded.body.items[0].mdadm_event], [[6], "DegradedArray"]);
    assert.equal(ids(await api.ask("GET", `${EVENTS}?subject=/api/v1/devices`)), []);
    for (const query of ["types=A", "types=member.failed.x", "cursor=x", "order=up"]) {
      assert.is((await api.ask("GET", `${EVENTS}?${query}`)).status, 422, query);
    }
  }),
);

test(
  "a cursor older than the ring has expired",
  inFolder(async (folder) => {
    await using api = await openApiBench({ folder });
    for (let count = 0; count < 10_100; count += 1) api.control.events.record(event());
    const expired = await api.ask("GET", `${EVENTS}?order=asc&cursor=50`);
    assert.equal([expired.status, expired.body.type], [410, "urn:satsuma:problem:cursor-expired"]);
    assert.is((await api.ask("GET", `${EVENTS}?order=asc&cursor=100`)).status, 200);
  }),
);

test(
  "streams history events as they happen and whole resources when they change",
  overSocket(async (api, port) => {
    const stream = await openStream(api, port);
    assert.match(stream.response.headers.get("content-type") ?? "", "text/event-stream");
    assert.is(stream.response.headers.get("x-satsuma-node"), "opi-a");
    assert.match(stream.response.headers.get("content-security-policy") ?? "", "default-src");
    const body = { name: "md0", level: "raid1", device_ids: ["disk1", "disk2"] };
    await api.do("POST", "/api/v1/arrays", body);
    const created = await stream.next(isLive("array.created"));
    assert.is(JSON.parse(created.text).id, created.id);
    const live = await stream.next(isLive("array.status"));
    assert.is(live.id, null);
    const shown = JSON.parse(live.text);
    assert.equal([shown.id, shown.data.status.health], [null, "optimal"]);
    const read = (await api.ask("GET", "/api/v1/arrays/md0")).body;
    assert.equal(shown.data, read);
    await api.ask("POST", "/api/v1/arrays/md0/members/disk2/actions/fail");
    const failed = await stream.next(isLive("member.failed"));
    assert.is(JSON.parse(failed.text).mdadm_event, "Fail");
    const degraded = await stream.next(isLive("array.status"));
    assert.is(JSON.parse(degraded.text).data.status.health, "degraded");
    const system = await stream.next(isLive("system.status"));
    assert.match(JSON.parse(system.text).data.health.sentence, "md0 is degraded");
    stream.close();
  }),
);

test(
  "replays what came after Last-Event-ID, then goes on live, without gap or repeat",
  overSocket(async (api, port) => {
    for (let count = 0; count < 1200; count += 1) api.control.events.record(event());
    const stream = await openStream(api, port, "", { "last-event-id": "7" });
    const seen: (number | null)[] = [];
    while (seen.length < 1193) seen.push((await stream.next(isHistory)).id);
    assert.equal([seen[0], seen.at(-1)], [8, 1200]);
    assert.is(new Set(seen).size, 1193);
    api.control.events.record(event());
    assert.is((await stream.next(isHistory)).id, 1201);
    stream.close();
  }),
);

test(
  "filters the stream by type and subject, replayed or live",
  overSocket(async (api, port) => {
    api.control.events.record(event());
    api.control.events.record(event({ type: "array.degraded" }));
    api.control.events.record(event({ type: "array.degraded", subject: "/api/v1/arrays/b" }));
    const query = "?types=array.*&subject=/api/v1/arrays/b";
    const stream = await openStream(api, port, query, { "last-event-id": "0" });
    assert.is((await stream.next()).id, 3);
    api.control.events.changed("system", "system");
    api.control.events.record(event({ type: "array.broken" }));
    api.control.events.record(event({ type: "array.broken", subject: "/api/v1/arrays/b" }));
    assert.is((await stream.next()).id, 5);
    stream.close();
    const wrong = await openStream(api, port, "?types=!");
    assert.is(wrong.response.status, 422);
    wrong.close();
  }),
);

test(
  "an id that is not in the history gets a reset first, then what happens from now on",
  overSocket(async (api, port) => {
    api.control.events.record(event());
    const lost = await openStream(api, port, "", { "last-event-id": "99" });
    const reset = await lost.next();
    assert.equal([reset.id, reset.event], [null, "stream.reset"]);
    assert.is(JSON.parse(reset.text).data.newest_id, api.control.events.newestId);
    const { id: next } = api.control.events.record(event());
    assert.is((await lost.next(isHistory)).id, next);
    lost.close();
    const newest = api.control.events.newestId;
    const stream = await openStream(api, port, "", { "last-event-id": String(newest) });
    api.control.events.record(event());
    assert.is((await stream.next()).id, newest + 1);
    stream.close();
  }),
);

test(
  "an id older than the ring gets a reset, the one before the oldest event does not",
  overSocket(async (api, port) => {
    for (let count = 0; count < 10_100; count += 1) api.control.events.record(event());
    const oldest = api.control.events.oldestId() ?? 0;
    for (const [id, first] of [
      [oldest - 2, "stream.reset"],
      [oldest - 1, "member.failed"],
    ] as const) {
      const stream = await openStream(api, port, "", { "last-event-id": String(id) });
      assert.is((await stream.next()).event, first);
      stream.close();
    }
  }),
);

test(
  "a client that never reads is cut off, others go on",
  overSocket(async (api, port) => {
    const reader = await openStream(api, port);
    const deaf: Socket = connect(port, "127.0.0.1");
    deaf.pause();
    deaf.write(
      `GET ${EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${api.token}\r\nAccept: text/event-stream\r\n\r\n`,
    );
    const closed = new Promise<void>((resolve) => deaf.once("close", () => resolve()));
    deaf.on("error", () => undefined);
    const clients = async (): Promise<string> =>
      /satsuma_event_streams (\d+)/.exec((await api.ask("GET", "/metrics")).body)?.[1] ?? "";
    await eventually("both clients are there", 5000, async () => (await clients()) === "2");
    const large = "x".repeat(60_000);
    let last = 0;
    for (let count = 0; count < FRAMES_WAITING_MAX + 200; count += 1) {
      last = api.control.events.record(event({ message: large })).id;
      await reader.next(isHistory);
    }
    await eventually("the deaf client is gone", 5000, async () => (await clients()) === "1");
    deaf.resume();
    await closed;
    api.control.events.record(event());
    assert.is((await reader.next(isHistory)).id, last + 1);
    reader.close();
  }),
);

test(
  "so many clients are served and no more",
  overSocket(async (api, port) => {
    const streams: Stream[] = [];
    for (let count = 0; count < STREAM_CLIENTS_MAX; count += 1) {
      streams.push(await openStream(api, port));
    }
    const refused = await openStream(api, port);
    assert.is(refused.response.status, 503);
    refused.close();
    streams[0]?.close();
    await eventually("a place is free", 5000, async () => {
      const stream = await openStream(api, port);
      const { status } = stream.response;
      stream.close();
      return status === 200;
    });
    for (const stream of streams) stream.close();
  }),
);

test(
  "the end of the server ends the streams",
  withTimeout(
    10_000,
    inFolder(async (folder) => {
      await using api = await openApiBoard(folder);
      const { port } = await listen(api.app, { host: "127.0.0.1", port: 0 });
      const stream = await openStream(api, port);
      const ended = stream.next(isLive("never")).then(
        () => "frame",
        (error: Error) => error.message,
      );
      await api.app.close();
      assert.is(await ended, "the stream ended");
    }),
  ),
);

test.run();
