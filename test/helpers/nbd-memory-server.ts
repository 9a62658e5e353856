/**
 * Serves a memory export by hand: `node test/helpers/nbd-memory-server.ts --socket PATH [--size N]
 * [--port P] [--pace soon]`. With --worker the server runs in a worker thread, as the daemon's
 * does. Ends on SIGINT or SIGTERM.
 */
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import type { NbdAddress } from "../../src/nbd/address-driver.ts";
import { listenNbd, type NbdServer } from "../../src/nbd/server-driver.ts";
import { directoryOf, exportEntry, MemoryBackend } from "./memory-backend.ts";

const { values: options } = parseArgs({
  args: process.argv.slice(2),
  options: {
    socket: { type: "string" },
    port: { type: "string" },
    size: { type: "string", default: String(1024 * 1024 * 1024) },
    pace: { type: "string", default: "at-once" },
    worker: { type: "boolean", default: false },
  },
});

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

async function serve(): Promise<NbdServer> {
  const pace = options.pace === "soon" ? "soon" : "at-once";
  const backend = new MemoryBackend({ sizeBytes: Number(options.size), pace });
  const addresses: NbdAddress[] = [];
  if (options.socket !== undefined) addresses.push({ path: options.socket });
  if (options.port !== undefined) addresses.push({ host: "127.0.0.1", port: Number(options.port) });
  return await listenNbd(addresses, directoryOf([exportEntry(backend)]));
}

if (!isMainThread) {
  const server = await serve();
  parentPort?.once("message", () => void server.close());
} else if (options.worker) {
  const worker = new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) });
  for (const signal of SIGNALS) process.once(signal, () => worker.postMessage("close"));
} else {
  const server = await serve();
  for (const signal of SIGNALS) process.once(signal, () => void server.close());
}
