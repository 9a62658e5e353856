/** Folders made with their parents. */

import { existsSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Makes `folder` and what is missing above it, mode 0700. Errors: those of mkdir(2), for example
 * below /proc, where the recursive call of Node never returns (measured, Node 24.21).
 */
export const makeFolder = (folder: string): void => {
  const missing: string[] = [];
  for (let at = resolve(folder); !existsSync(at); at = dirname(at)) missing.push(at);
  for (const path of missing.reverse()) mkdirSync(path, { mode: 0o700 });
};
