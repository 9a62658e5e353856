/**
 * Sends replies straight to the socket's descriptor. Node's stream machinery would make the same
 * system call, after several microseconds of its own per batch.
 */
import { writeSync } from "node:fs";
import type { SocketInput } from "./socket-input-driver.ts";

/**
 * Writes `[start, start + length)` of `bytes` as far as the kernel takes it without waiting, and
 * returns how much that was: 0 while earlier bytes still wait in the stream. The rest, and any
 * error, is the stream's: it meets the same error when it writes.
 */
export function sendNow(
  output: SocketInput,
  bytes: Uint8Array,
  start: number,
  length: number,
): number {
  const { socket, fd } = output;
  if (fd < 0 || socket.writableLength > 0 || socket.writableEnded) return 0;
  try {
    return writeSync(fd, bytes, start, length);
  } catch {
    return 0;
  }
}
