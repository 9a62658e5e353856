/**
 * Settings of the whole process, made before the daemon's modules are loaded and the first
 * asynchronous file call is made; what the environment says already stays.
 */

import { existsSync, readdirSync, rmSync } from "node:fs";
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

/** Node strips the types of each file that it loads; the build has none. */
const IS_BUILD = import.meta.url.endsWith(".js");

/**
 * Compiled code of this release; that of others goes. Without a place for it there is none. Only
 * where types are stripped: the build starts no sooner with it, and it takes 9 MiB (measured).
 */
const useCompileCache = (dataDirectory: string, version: string): void => {
  const folder = path.join(dataDirectory, "compile-cache");
  const kept = path.join(folder, version);
  try {
    if (!IS_BUILD) makeFolder(kept);
    for (const name of existsSync(folder) ? readdirSync(folder) : []) {
      const isOld = IS_BUILD || name !== version;
      if (isOld) rmSync(path.join(folder, name), { recursive: true, force: true });
    }
  } catch {
    // The start fails on the data directory itself, and with a better message.
    return;
  }
  if (IS_BUILD) return;
  process.env["NODE_COMPILE_CACHE"] ??= kept;
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
