/** The servers that Satsuma is measured against, each on files of its own. */
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startServer, stopServer, type Target } from "./target.ts";

/** Makes sparse files `leg0.img` ... of `sizeBytes` in a new folder. */
function makeLegs(folder: string, count: number, sizeBytes: number): string[] {
  mkdirSync(folder, { recursive: true });
  return Array.from({ length: count }, (_, index) => {
    const leg = join(folder, `leg${index}.img`);
    writeFileSync(leg, "");
    truncateSync(leg, sizeBytes);
    return leg;
  });
}

function quorumNodes(legs: readonly string[], direct: boolean): string[] {
  const cache = { direct, "no-flush": false };
  const aio = direct ? "io_uring" : "threads";
  const nodes = legs.flatMap((filename, index) => [
    { driver: "file", "node-name": `file${index}`, filename, aio, locking: "off", cache },
    { driver: "raw", "node-name": `leg${index}`, file: `file${index}`, cache },
  ]);
  const quorum = {
    driver: "quorum",
    "node-name": "mirror",
    "vote-threshold": 1,
    "read-pattern": "fifo",
    children: legs.map((_, index) => `leg${index}`),
  };
  return [...nodes, quorum].flatMap((node) => ["--blockdev", JSON.stringify(node)]);
}

/** QEMU's mirror: a quorum of two raw files, each write to both, reads from the first. */
export async function startQemuQuorum(
  label: string,
  folder: string,
  sizeBytes: number,
  direct: boolean,
): Promise<Target> {
  const legs = makeLegs(join(folder, label), 2, sizeBytes);
  const socket = join(folder, `${label}.sock`);
  const args = [
    ...quorumNodes(legs, direct),
    "--nbd-server",
    `addr.type=unix,addr.path=${socket},max-connections=64`,
    "--export",
    "type=nbd,id=bench,node-name=mirror,name=,writable=on",
  ];
  const child = await startServer("qemu-storage-daemon", args, socket);
  return {
    label,
    uri: `nbd+unix:///?socket=${socket}`,
    pid: child.pid ?? 0,
    legs,
    stop: () => stopServer(child),
  };
}

/** nbdkit serving one plain file: no mirror, so half the writing. */
export async function startNbdkit(folder: string, sizeBytes: number): Promise<Target> {
  const legs = makeLegs(join(folder, "nbdkit"), 1, sizeBytes);
  const socket = join(folder, "nbdkit.sock");
  const child = await startServer(
    "nbdkit",
    ["--foreground", "--unix", socket, "file", ...legs],
    socket,
  );
  return {
    label: "nbdkit",
    uri: `nbd+unix:///?socket=${socket}`,
    pid: child.pid ?? 0,
    legs,
    stop: () => stopServer(child),
  };
}
