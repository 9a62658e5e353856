/** How online verbs find the daemon, and how they read its event stream. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { resolveAccess } from "../../../src/cli/api-client.ts";
import { readCredentials, writeCredentials } from "../../../src/cli/demo-credentials.ts";
import { readFrames, type StreamFrame } from "../../../src/cli/event-stream-client.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const framesOf = async (...chunks: readonly string[]): Promise<StreamFrame[]> => {
  const encoder = new TextEncoder();
  const body = ReadableStream.from(chunks.map((chunk) => encoder.encode(chunk)));
  const frames: StreamFrame[] = [];
  for await (const frame of readFrames(body)) frames.push(frame);
  return frames;
};

const test = suite("cli/online-access");

test(
  "takes address and token from flags, else from what demo or serve left in the folder",
  inFolder(async (folder) => {
    const data = join(folder, "demo");
    mkdirSync(data);
    const board = {
      name: "demo",
      url: "http://127.0.0.1:1",
      token: "satsuma_a",
      nbd: "127.0.0.1:2",
      nbd_socket: "/s",
      data_dir: data,
      pid: 1,
      disks: [],
    };
    writeCredentials(data, { boards: [board], etcd: null });
    assert.equal(resolveAccess({ data }), { url: "http://127.0.0.1:1", token: "satsuma_a" });
    assert.equal(resolveAccess({ data, token: "t" }), { url: "http://127.0.0.1:1", token: "t" });
    assert.equal(resolveAccess({ api: "http://h/", token: "t" }), { url: "http://h", token: "t" });
    const served = join(folder, "served");
    mkdirSync(served);
    writeFileSync(join(served, "daemon.json"), '{"url": "http://127.0.0.1:3"}');
    writeFileSync(join(served, "token"), "satsuma_b\n");
    const access = resolveAccess({ data: served });
    assert.equal(access, { url: "http://127.0.0.1:3", token: "satsuma_b" });
    assert.throws(() => resolveAccess({ data: folder }), /tells of no daemon/);
    writeFileSync(join(folder, "credentials.json"), "{");
    assert.throws(() => resolveAccess({ data: folder }), /cannot be read/);
    assert.equal(readCredentials(folder), { boards: [], etcd: null });
  }),
);

test("reads frames that arrive in pieces, with several lines, comments and no id", async () => {
  const frames = await framesOf(
    "retry: 1\n\n: heart",
    'beat\n\nid: 7\nevent: a\ndata: {"x"',
    ":1}\n\nevent: b\ndata: é",
    "\ndata:2\n\nid: x\ndata: 3\n\ndata: unfinished",
  );
  assert.equal(frames, [
    { id: 7, event: "a", text: '{"x":1}' },
    { id: null, event: "b", text: "é\n2" },
    { id: null, event: "message", text: "3" },
  ]);
});

test("an endless frame is refused", async () => {
  const piece = "x".repeat(1024 * 1024);
  try {
    await framesOf("data: ", piece, piece, piece, piece, piece);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, RangeError);
  }
});

test.run();
