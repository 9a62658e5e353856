/**
 * How much a socket holds that its peer has not taken yet: what fits is sent by one call, and the
 * threads of both ends wake each other less often. Node sets none for pipes.
 * Source: socket(7), SO_SNDBUF and SO_SNDBUFFORCE; unix(7).
 */

import { loadNativeLibrary } from "./native-library.ts";

/** Source: asm-generic/socket.h; the same on every machine there is a pinned Node.js for. */
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
/** Past net.core.wmem_max; takes CAP_NET_ADMIN. */
const SO_SNDBUFFORCE = 32;

/**
 * Lets the socket hold twice `bytes`, the kernel's own bookkeeping included, or as much as this
 * process may ask for. A refusal changes nothing.
 */
export type SetSendBuffer = (fd: number, bytes: number) => void;

/** Null where the native library cannot be loaded. Never rejects. */
export const loadSendBuffer = async (): Promise<SetSendBuffer | null> => {
  const library = await loadNativeLibrary();
  if (library === null) return null;
  const setsockopt = library.program.func(
    "int setsockopt(int fd, int level, int option, void *value, uint32_t length)",
  );
  return (fd, bytes) => {
    const value = new Int32Array([bytes]);
    const set = (option: number): number =>
      setsockopt(fd, SOL_SOCKET, option, value, value.byteLength);
    if (set(SO_SNDBUFFORCE) !== 0) set(SO_SNDBUF);
  };
};
