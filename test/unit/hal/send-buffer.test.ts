/** A socket that holds more for its peer: the kernel takes at once what it left waiting before. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadSendBuffer } from "../../../src/hal/linux/send-buffer.ts";
import { skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const KIB = 1024;
/** More than the kernel's default of 208 KiB, less than twice that: what everybody may ask for. */
const BYTES = 300 * KIB;

const setSendBuffer = await loadSendBuffer();
const test = suite("hal/send-buffer");
const nativeTest = skipWhen(
  setSendBuffer === null ? "the native addon does not load" : undefined,
  test,
);

/** Bytes of `BYTES` that wait in the process, since the peer takes none and the socket is full. */
const leftWaiting = async (folder: string, prepare: (fd: number) => void): Promise<number> => {
  const path = join(folder, "s");
  const server = createServer({ pauseOnConnect: true }).listen(path);
  await once(server, "listening");
  const peer = connect(path);
  peer.pause();
  const [socket] = (await once(server, "connection")) as [Socket];
  const { fd } = (socket as unknown as { readonly _handle: { readonly fd: number } })._handle;
  prepare(fd);
  socket.write(new Uint8Array(BYTES));
  const left = socket.writableLength;
  socket.destroy();
  peer.destroy();
  server.close();
  await once(server, "close");
  return left;
};

nativeTest(
  "holds what is asked for",
  inFolder(async (folder) => {
    assert.ok((await leftWaiting(folder, () => undefined)) > 0, "by default it does not");
    assert.is(await leftWaiting(folder, (fd) => setSendBuffer?.(fd, 512 * KIB)), 0);
  }),
);

nativeTest("a descriptor that is none, or no socket, is left alone", () => {
  setSendBuffer?.(-1, 512 * KIB);
  setSendBuffer?.(2, 512 * KIB);
});

test.run();
