/** What Satsuma is measured against, each on files of its own. */
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, type Listen, startServer, stopServer, type Target, uriOf } from "../target.ts";
import type { Transport } from "./workloads.ts";

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

async function chooseListen(folder: string, transport: Transport): Promise<Listen> {
  return transport === "unix"
    ? { type: "unix", path: join(folder, "nbd.sock") }
    : { type: "tcp", port: await freePort() };
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

/** QEMU's mirror: a quorum of raw files, each write to all, reads from the first. */
export async function startQemuQuorum(
  label: string,
  folder: string,
  sizeBytes: number,
  options: { readonly direct: boolean; readonly legs: number; readonly transport: Transport },
): Promise<Target> {
  const legs = makeLegs(folder, options.legs, sizeBytes);
  const listen = await chooseListen(folder, options.transport);
  const address =
    listen.type === "unix"
      ? `addr.type=unix,addr.path=${listen.path}`
      : `addr.type=inet,addr.host=127.0.0.1,addr.port=${listen.port}`;
  const args = [
    ...quorumNodes(legs, options.direct),
    "--nbd-server",
    `${address},max-connections=64`,
    "--export",
    "type=nbd,id=bench,node-name=mirror,name=,writable=on",
  ];
  const child = await startServer("qemu-storage-daemon", args, listen);
  const stop = () => stopServer(child);
  return { label, uri: uriOf(listen), pid: child.pid ?? 0, legs, stop };
}

/** nbdkit serving one plain file: no mirror, so half the writing. */
export async function startNbdkit(
  label: string,
  folder: string,
  sizeBytes: number,
  transport: Transport,
): Promise<Target> {
  const legs = makeLegs(folder, 1, sizeBytes);
  const listen = await chooseListen(folder, transport);
  const where =
    listen.type === "unix"
      ? ["--unix", listen.path]
      : ["--ipaddr", "127.0.0.1", "--port", String(listen.port)];
  const child = await startServer("nbdkit", ["--foreground", ...where, "file", ...legs], listen);
  const stop = () => stopServer(child);
  return { label, uri: uriOf(listen), pid: child.pid ?? 0, legs, stop };
}

/** One plain file without any server: what the machine gives at best. */
export function makeRawFile(label: string, folder: string, sizeBytes: number): Target {
  const legs = makeLegs(folder, 1, sizeBytes);
  const [uri = ""] = legs;
  return { label, uri, pid: null, legs, stop: async () => {} };
}
