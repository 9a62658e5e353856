// wall-limit: 900 s
/**
 * kill -9 of the daemon at random moments under verified writes from four connections, over and
 * over on the same members. After each kill: mdadm accepts every member, legs are equal outside
 * dirty chunks; after each restart: every acknowledged write reads back, reads are stable, and the
 * resync copies exactly the dirty chunks.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CELL_BYTES, CrashLoad } from "../../helpers/crash-load.ts";
import { examineMembers, type MembersView } from "../../helpers/crash-members.ts";
import { NbdClient } from "../../helpers/nbd-client.ts";
import { ServeProcess } from "../../helpers/serve-process.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const KILLS = Number(process.env["SATSUMA_KILLS"] ?? 100);
const DISK_BYTES = 16 * 1024 * 1024;
const CHUNK_BYTES = 128 * 1024;
const ARRAY = "victim";

interface Item {
  readonly id: string;
  readonly name: string;
  readonly status: Record<string, unknown>;
}

interface EventItem {
  readonly id: number;
  readonly type: string;
  readonly data: Record<string, unknown>;
}

const makeArray = async (board: ServeProcess): Promise<readonly string[]> => {
  const ids: string[] = [];
  const paths: string[] = [];
  for (const name of ["victim0", "victim1"]) {
    const device = (await board.request("POST", "/devices", { name, size: DISK_BYTES })) as Item & {
      status: { path: string };
    };
    ids.push(device.id);
    paths.push(device.status.path);
  }
  const body = { name: ARRAY, level: "raid1", device_ids: ids, bitmap_chunk_size: CHUNK_BYTES };
  await board.request("POST", "/arrays", { ...body, assume_clean: true });
  await board.request("POST", "/exports", { name: ARRAY, array: ARRAY });
  return paths;
};

const victim = async (board: ServeProcess): Promise<Item> => {
  const { items } = (await board.request("GET", "/arrays")) as { items: readonly Item[] };
  const found = items.find(({ name }) => name === ARRAY);
  if (found === undefined) throw new Error("the array is gone");
  return found;
};

/** Every cell holds a write it may hold, twice the same. */
const verify = async (board: ServeProcess, load: CrashLoad): Promise<void> => {
  const client = await NbdClient.attach(board.socket, ARRAY);
  const piece = 1024 * 1024;
  for (let offset = 0; offset < client.sizeBytes; offset += piece) {
    const length = Math.min(piece, client.sizeBytes - offset);
    const content = Buffer.from(await client.read(offset, length));
    const again = await client.read(offset, length);
    assert.ok(Buffer.compare(content, again) === 0, `reads at ${offset} are stable`);
    for (let at = 0; at < length; at += CELL_BYTES) {
      const id = content.readUInt32LE(at);
      const cell = (offset + at) / CELL_BYTES;
      const problem = load.model.problem(cell, id, false);
      assert.is(problem, null);
      load.model.pin(cell, id);
    }
  }
  client.close();
};

/** The resync that follows an unclean stop copies the dirty chunks and nothing else. */
const checkResync = async (
  board: ServeProcess,
  before: MembersView,
  since: number,
): Promise<number> => {
  await eventually("the resync is done", 60_000, async () => {
    const { status } = await victim(board);
    return status["sync"] === null && status["health"] === "optimal";
  });
  const { id } = await victim(board);
  const path = `/events?types=sync.finished&limit=50`;
  const { items } = (await board.request("GET", path)) as { items: readonly EventItem[] };
  const mine = items.filter((item) => item.id > since && JSON.stringify(item).includes(id));
  const copied = mine.reduce((sum, item) => sum + Number(item.data["copied_bytes"]), 0);
  if (!before.clean) {
    const expected = [...before.dirty].reduce((sum, chunk) => {
      const end = Math.min((chunk + 1) * before.chunkBytes, before.sizeBytes);
      return sum + end - chunk * before.chunkBytes;
    }, 0);
    assert.is(copied, expected, "bytes copied are those of the dirty chunks");
  }
  return Math.max(since, ...items.map((item) => item.id));
};

const test = suite("crash/kill");

const story = async (folder: string): Promise<void> => {
  const board = new ServeProcess(folder);
  try {
    await board.start();
    const paths = await makeArray(board);
    const { status } = await victim(board);
    assert.is(status["health"], "optimal");
    const probe = await NbdClient.attach(board.socket, ARRAY);
    const load = new CrashLoad(probe.sizeBytes, 1);
    probe.close();
    let lastEvent = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const running = load.run(board.socket, ARRAY);
      const target = load.writes + 20 + ((kill * 7919) % 1000);
      await eventually("writes flow", 60_000, () => load.writes >= target);
      await board.kill9();
      await running;
      const members = await examineMembers(paths);
      await board.start();
      await verify(board, load);
      lastEvent = await checkResync(board, members, lastEvent);
    }
    await board.shutDown();
    const members = await examineMembers(paths);
    assert.ok(members.clean, "a clean stop leaves clean members");
    assert.is(members.dirty.size, 0, "a clean stop leaves no bit set");
  } finally {
    await board.kill9();
  }
};

test(
  `loses no acknowledged write over ${KILLS} kills`,
  withTimeout(850_000, () => inFolder(story)()),
);

test.run();
