/**
 * Settings of the whole process, made before the daemon's modules are loaded and the first
 * asynchronous file call is made; what the environment says already stays.
 */

import { readdirSync, rmSync } from "node:fs";
import { enableCompileCache, flushCompileCache } from "node:module";
import path from "node:path";
import { makeFolder } from "../hal/linux/make-folder.ts";
import { POOL_CALLS_MAX } from "../hal/linux/turnstile.ts";

/** Members that may hang at once while the others' calls still find a thread. */
const HUNG_MEMBERS = 2;
/** Threads for everybody else. Choice: a few drives' worth. */
const THREADS_LEFT = 16;

/**
 * Threads for asynchronous member I/O. Each I/O worker and the array thread have a handle of a
 * member, and each handle that hangs holds POOL_CALLS_MAX of them.
 */
export const threadPoolSize = (ioWorkers: number): number =>
  HUNG_MEMBERS * (ioWorkers + 1) * POOL_CALLS_MAX + THREADS_LEFT;

/** Compiled code of this release; those of others go. Without a place for it there is none. */
const useCompileCache = (dataDirectory: string, version: string): void => {
  const folder = path.join(dataDirectory, "compile-cache");
  try {
    makeFolder(path.join(folder, version));
    for (const name of readdirSync(folder)) {
      if (name !== version) rmSync(path.join(folder, name), { recursive: true, force: true });
    }
  } catch {
    // The start fails on the data directory itself, and with a better message.
    return;
  }
  process.env["NODE_COMPILE_CACHE"] ??= path.join(folder, version);
  enableCompileCache(process.env["NODE_COMPILE_CACHE"]);
};

/** Makes the settings. AFTER the configuration is known, BEFORE the daemon is loaded. */
export const prepareProcess = (
  config: { readonly dataDirectory: string; readonly ioWorkers: number },
  version: string,
): void => {
  process.env["UV_THREADPOOL_SIZE"] ??= String(threadPoolSize(config.ioWorkers));
  useCompileCache(config.dataDirectory, version);
};

/** Keeps what was compiled for the next start, which a crash would lose. AFTER the start. */
export const keepCompiled = (): void => flushCompileCache();
