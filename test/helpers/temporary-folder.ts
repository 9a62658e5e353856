/** Folders that go with the test that made them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Wraps the body of a test so that it gets an empty folder, removed when the body has ended. */
export function inFolder(body: (folder: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), "t-"));
    try {
      await body(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  };
}
