/**
 * The process that runs this one as its child, where `bin/satsuma` cannot become it: a descriptor
 * that it holds the other end of, named by the environment. When that end closes, the wrapper is
 * gone, killed perhaps, and nobody passes signals on any more.
 */

import { Socket } from "node:net";

const VARIABLE = "SATSUMA_WRAPPER_FD";

/** Calls back when the wrapper is gone; never without one. Does not keep the process alive. */
export function onWrapperGone(gone: () => void): void {
  const fd = Number(process.env[VARIABLE] ?? "");
  // The processes that this one starts have other parents.
  delete process.env[VARIABLE];
  if (!Number.isInteger(fd) || fd < 3) return;
  let wrapper: Socket;
  try {
    wrapper = new Socket({ fd, readable: true, writable: false });
  } catch {
    // Somebody else's variable: there is no such pipe.
    return;
  }
  wrapper.once("close", gone).on("error", () => undefined);
  wrapper.resume().unref();
}
