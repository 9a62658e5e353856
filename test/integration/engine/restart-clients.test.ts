/** A client that comes back while the daemon starts finds its export, however early it is. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exportRequestBytes } from "../../helpers/nbd-messages.ts";
import { RawNbdClient } from "../../helpers/raw-nbd-client.ts";
import { ServeProcess } from "../../helpers/serve-process.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const MIB = 2 ** 20;
const NBD_OPT_GO = 7;
const ACK = 1;
const ERR_UNKNOWN = 0x8000_0006;

/** Connects as soon as the socket is there and asks for each export; the last reply's types. */
const askEarly = async (path: string, names: readonly string[]): Promise<number[]> => {
  const clients = await Promise.all(
    names.map(() => eventually("the socket", 30_000, () => RawNbdClient.connect({ path }))),
  );
  const answers = clients.map(async (client, index) => {
    await client.greet();
    const replies = await client.option(NBD_OPT_GO, exportRequestBytes(names[index] ?? ""));
    client.close();
    return replies.at(-1)?.type ?? 0;
  });
  return await Promise.all(answers);
};

const test = suite("engine/restart-clients");

test(
  "waits for the export of an array that starts, and is told of one that does not",
  inFolder(async (folder) => {
    const body = withTimeout(120_000, async () => {
      const daemon = new ServeProcess(folder);
      await daemon.start();
      try {
        for (const name of ["a1", "a2", "b1"]) {
          await daemon.request("POST", "/devices", { name, size: 16 * MIB });
        }
        const order = { level: "raid1", assume_clean: true };
        const ids = ["a1", "a2"];
        await daemon.request("POST", "/arrays", { ...order, name: "a", device_ids: ids });
        const lone = ["b1", "missing"];
        await daemon.request("POST", "/arrays", { ...order, name: "b", device_ids: lone });
        for (const name of ["a", "b"]) {
          await daemon.request("POST", "/exports", { name, array: name });
        }
        await daemon.shutDown();
        rmSync(join(folder, "disks/b1.img"));
        const started = daemon.start();
        const answers = await askEarly(daemon.socket, ["a", "b", "none"]);
        assert.equal(answers, [ACK, ERR_UNKNOWN, ERR_UNKNOWN]);
        await started;
      } finally {
        await daemon.shutDown();
      }
    });
    await body(undefined as never);
  }),
);

test.run();
