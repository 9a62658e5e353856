/**
 * Preloaded into a daemon (`--import`), and so into each of its threads: at SIGUSR2 every thread
 * writes down what its heap holds, after a full collection where that is asked for. The other side
 * is `memory-reports.ts`.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BroadcastChannel, isMainThread, threadId, threadName } from "node:worker_threads";
import type { ProbeRequest, ThreadMemory } from "./memory-reports.ts";

const MIB = 1024 * 1024;
const folder = process.env["MEMORY_PROBE"] ?? "";
const thread = isMainThread ? "control" : `${threadName} ${threadId}`;
const channel = new BroadcastChannel("memory-probe");

const note = (file: string, line: unknown): void =>
  appendFileSync(join(folder, file), `${JSON.stringify(line)}\n`);

/** A full collection; twice, because buffers go only once their owners are gone. */
const collect = async (): Promise<void> => {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  gc();
  await new Promise((resolve) => setImmediate(resolve));
  gc();
};

const answer = async ({ id, isCollected }: ProbeRequest): Promise<void> => {
  if (isCollected) await collect();
  const { heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
  const { user, system } = process.threadCpuUsage();
  const memory: ThreadMemory = {
    thread,
    heapUsedMib: heapUsed / MIB,
    heapTotalMib: heapTotal / MIB,
    externalMib: external / MIB,
    arrayBuffersMib: arrayBuffers / MIB,
    cpuMs: (user + system) / 1000,
  };
  note(`answers-${id}`, memory);
};

note("threads", { thread, isAlive: true });
process.on("exit", () => note("threads", { thread, isAlive: false }));
channel.onmessage = (event) => void answer((event as MessageEvent).data as ProbeRequest);
channel.unref();
if (isMainThread) {
  process.on("SIGUSR2", () => {
    const request = JSON.parse(readFileSync(join(folder, "request"), "utf8")) as ProbeRequest;
    channel.postMessage(request);
    void answer(request);
  });
}
