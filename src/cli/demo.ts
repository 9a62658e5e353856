/**
 * `satsuma demo`: a board to try, in a folder of its own: a real daemon process with two
 * file-backed disks, the array md0 and the export md0; or several that serve their disks to each
 * other (boards-demo.ts) or open the same ones (shared-demo.ts). A second start with the same
 * folder resumes.
 */

import { rmSync } from "node:fs";
import path from "node:path";
import type { Command } from "commander";
import type { ArrayResource } from "../api/schemas/array.ts";
import type { DeviceResource } from "../api/schemas/device.ts";
import type { ExportResource } from "../api/schemas/export.ts";
import { CodedError } from "../common/errors.ts";
import { demoDirectory } from "../config.ts";
import { makeFolder } from "../hal/linux/make-folder.ts";
import { lockFolder } from "../store/folder-lock.ts";
import { ApiClient, VERB_LIMIT_MS } from "./api-client.ts";
import { type BoardProcess, boardCredentials, startBoardProcess } from "./board-process.ts";
import { runBoardsDemo } from "./boards-demo.ts";
import { readCredentials, writeCredentials } from "./demo-credentials.ts";
import { fetchAll } from "./online-access.ts";
import { printText } from "./output.ts";
import { runSharedDemo } from "./shared-demo.ts";
import { parseSize } from "./size-syntax.ts";

const DISKS = ["disk1", "disk2"] as const;
const ARRAY = "md0";
const EXPORT = "md0";
const CREATE_WAIT_SECONDS = 60;
const LOCK = "demo.lock";
/** Room for md's metadata and a little content. */
const DISK_BYTES_MIN = 4 * 2 ** 20;

interface DemoFlags {
  readonly data?: string;
  readonly boards: string;
  readonly shared?: boolean;
  readonly size: string;
  readonly http?: string;
  readonly nbd?: string;
}

/** Boards of a demo. Choice: as many as a demo needs. */
const BOARDS_MAX = 8;

const boardsOf = (flags: DemoFlags): number => {
  const boards = Number(flags.boards);
  if (!Number.isInteger(boards) || boards < 1 || boards > BOARDS_MAX) {
    throw new CodedError("CLI_BAD_USAGE", `--boards ${flags.boards} is no number of boards`, {
      remedy: `give a number from 1 to ${BOARDS_MAX}`,
    });
  }
  if (boards === 1 && flags.shared) {
    throw new CodedError("CLI_BAD_USAGE", "--shared needs several boards", {
      remedy: "add --boards 2 or more, or leave --shared out",
    });
  }
  return boards;
};

const makeDirectory = (directory: string): void => {
  try {
    makeFolder(directory);
  } catch (error) {
    throw new CodedError("CLI_NOT_WRITABLE", `${directory} cannot be made`, {
      remedy: "choose another folder with --data",
      cause: error,
    });
  }
};

/** Makes what is missing of the two disks; paths of the new ones, known to hold only zeros. */
const ensureDisks = async (client: ApiClient, sizeBytes: number): Promise<Map<string, string>> => {
  const devices = await fetchAll<DeviceResource>(client, "devices");
  const known = new Set(devices.map(({ id }) => id));
  const fresh = new Map<string, string>();
  for (const name of DISKS) {
    if (!known.has(name)) {
      const body = { name, size: sizeBytes };
      const made = await client.request<DeviceResource>("POST", "/api/v1/devices", { body });
      fresh.set(name, made.status.path);
    }
  }
  return fresh;
};

/** Makes the array and the export unless they are there; what the user changed is left alone. */
const ensureBoard = async (client: ApiClient, sizeBytes: number): Promise<void> => {
  const arrays = await fetchAll<ArrayResource>(client, "arrays");
  if (arrays.length === 0) {
    const fresh = await ensureDisks(client, sizeBytes);
    // Two files that nobody has written to read as zeros: the copies are equal already.
    const assume_clean = DISKS.every((name) => fresh.has(name));
    const body = { name: ARRAY, level: "raid1", device_ids: DISKS, assume_clean };
    try {
      await client.request("POST", "/api/v1/arrays", { body, wait: CREATE_WAIT_SECONDS });
    } catch (error) {
      // Nobody has written to them: left behind, they would fail the next demo in this folder too.
      for (const file of fresh.values()) rmSync(file, { force: true });
      throw error;
    }
  }
  const exports = await fetchAll<ExportResource>(client, "exports");
  const array = (await fetchAll<ArrayResource>(client, "arrays")).find(
    ({ name }) => name === ARRAY,
  );
  if (exports.length === 0 && array !== undefined) {
    await client.request("POST", "/api/v1/exports", { body: { name: EXPORT, array: array.id } });
  }
};

const describe = async (board: BoardProcess, client: ApiClient, directory: string) => {
  const [first] = await fetchAll<ExportResource>(client, "exports");
  const uri = first?.status.uris.unix ?? first?.status.uris.tcp;
  const lines = [
    `board ${board.name} runs in ${directory} (pid ${board.pid})`,
    "",
    `  panel:   ${board.url}/#token=${board.token}`,
    `  token:   ${board.token}`,
    `  NBD:     ${board.nbd} and ${board.nbdSocket}`,
    ...(uri === undefined ? [] : [`  attach:  nbdinfo '${uri}'`]),
    `           npx satsuma export attach ${first?.name ?? EXPORT} --data ${directory}`,
    `  status:  npx satsuma status --data ${directory}`,
    "",
    "Ctrl-C ends it; the same command takes it up again.",
  ];
  return `${lines.join("\n")}\n`;
};

const runDemo = async (flags: DemoFlags): Promise<void> => {
  const boards = boardsOf(flags);
  const sizeBytes = parseSize(flags.size, "--size", 1);
  if (sizeBytes < DISK_BYTES_MIN) {
    throw new CodedError("CLI_BAD_USAGE", `--size ${flags.size} is too small for a disk`, {
      remedy: "give at least 4M",
    });
  }
  const directory = path.resolve(flags.data ?? demoDirectory());
  makeDirectory(directory);
  // BEFORE anything is done there: what the last run left behind is ended, not what runs.
  const lock = lockFolder(directory, LOCK);
  try {
    await runIn(directory, flags, boards, sizeBytes);
  } finally {
    lock.release();
  }
};

const runIn = async (
  directory: string,
  flags: DemoFlags,
  boards: number,
  sizeBytes: number,
): Promise<void> => {
  // Asked for BEFORE the start: a signal during it is not lost.
  const { promise: ended, resolve: end } = Promise.withResolvers<"signal">();
  process.once("SIGINT", () => end("signal"));
  process.once("SIGTERM", () => end("signal"));
  const several = { ...flags, directory, boards, sizeBytes, ended };
  if (boards > 1) return await (flags.shared ? runSharedDemo(several) : runBoardsDemo(several));
  await runOneBoard(flags, directory, sizeBytes, ended);
};

const runOneBoard = async (
  flags: DemoFlags,
  directory: string,
  sizeBytes: number,
  ended: Promise<"signal">,
): Promise<void> => {
  const board = await startBoardProcess({
    directory,
    name: "demo",
    ...(flags.http === undefined ? {} : { http: flags.http }),
    ...(flags.nbd === undefined ? {} : { nbd: flags.nbd }),
    previous: readCredentials(directory).boards[0] ?? null,
  });
  try {
    const client = new ApiClient({ url: board.url, token: board.token }, VERB_LIMIT_MS);
    await ensureBoard(client, sizeBytes);
    const devices = await fetchAll<DeviceResource>(client, "devices");
    const disks = devices.map(({ status }) => status.path);
    writeCredentials(directory, {
      boards: [boardCredentials(board, directory, disks)],
      etcd: null,
    });
    printText(await describe(board, client, directory));
    const why = await Promise.race([ended, board.exited]);
    if (why !== "signal") {
      throw new CodedError("CLI_BOARD_ENDED", `board ${board.name} ended by itself (${why})`, {
        remedy: `see ${board.logPath}; start it again with: satsuma demo --data ${directory}`,
      });
    }
  } finally {
    await board.stop();
  }
};

/** Registers the verb. */
export function registerDemoCommand(program: Command): void {
  program
    .command("demo")
    .description("run boards to try, with file-backed disks, an array and an export")
    .option("--data <dir>", `folder of the boards (default: ${demoDirectory()})`)
    .option("--boards <count>", "number of boards; several need etcd (Debian: etcd-server)", "1")
    .option("--shared", "every board opens the same disks, instead of its own")
    .option("--size <size>", "size of each disk, sparse", "2G")
    .option(
      "--http <host:port>",
      "where panel and API listen (default: 127.0.0.1:8090 or a free port)",
    )
    .option("--nbd <host:port>", "where NBD listens (default: 127.0.0.1:10809 or a free port)")
    .action(runDemo);
}
