/**
 * Where an NBD server listens, and binding to it: TCP, a unix socket (a socket file that nobody
 * serves any more is replaced) or a descriptor that listens already.
 */
import { existsSync, lstatSync, unlinkSync } from "node:fs";
import { createConnection, type Server } from "node:net";
import { dirname } from "node:path";
import { CodedError } from "../common/errors.ts";

/** An address to listen on. `reusePort`: several threads share the port, the kernel spreads. */
export type NbdAddress =
  | { readonly host: string; readonly port: number; readonly reusePort?: boolean }
  | { readonly path: string }
  | { readonly fd: number };

/** `sun_path` holds 108 bytes with the final zero. Source: unix(7). */
const SOCKET_PATH_MAX_BYTES = 107;
const PROBE_MS = 1_000;

/**
 * Makes `server` listen.
 * Errors: NBD_ADDRESS_IN_USE, NBD_ADDRESS_DENIED, NBD_ADDRESS_INVALID, each naming the address.
 */
export async function bindServer(server: Server, address: NbdAddress): Promise<void> {
  if ("path" in address) {
    checkPath(address.path);
    await replaceStaleSocket(address.path);
  }
  try {
    await listen(server, address);
  } catch (error) {
    throw toCodedError(address, error);
  }
}

/** The address as people write it: `127.0.0.1:10809`, `[::1]:10809`, `/run/nbd.sock`. */
export function addressText(address: NbdAddress): string {
  if ("path" in address) return address.path;
  if ("fd" in address) return `descriptor ${address.fd}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

function listen(server: Server, address: NbdAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen("host" in address ? { ...address, backlog: 1024 } : address, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function checkPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > 0 && bytes <= SOCKET_PATH_MAX_BYTES && !path.includes("\0")) {
    // Told here, because libuv reports a missing folder as EACCES.
    if (existsSync(dirname(path))) return;
    throw new CodedError("NBD_ADDRESS_INVALID", `the folder of ${path} does not exist`, {
      remedy: "make the folder, or use another path",
      details: { path },
    });
  }
  throw new CodedError("NBD_ADDRESS_INVALID", `${path} cannot be the path of a unix socket`, {
    remedy: `use a path of 1 to ${SOCKET_PATH_MAX_BYTES} bytes; this one has ${bytes}`,
    details: { path, bytes },
  });
}

/** Removes a socket file that nobody answers on; refuses when somebody does. */
async function replaceStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw inUse(path, "remove the file that is there, or use another path");
  const answer = await probe(path);
  if (answer !== "ECONNREFUSED") {
    throw inUse(path, "stop the server that answers there, or use another path");
  }
  try {
    unlinkSync(path);
  } catch (error) {
    throw toCodedError({ path }, error);
  }
}

/** Connects to the socket: the error's code, or "answered". */
function probe(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    const settle = (answer: string): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_MS, () => settle("answered"));
    socket.once("connect", () => settle("answered"));
    socket.once("error", (error: NodeJS.ErrnoException) => settle(error.code ?? "answered"));
  });
}

function inUse(name: string, remedy: string, cause?: unknown): CodedError {
  return new CodedError("NBD_ADDRESS_IN_USE", `the NBD address ${name} is in use`, {
    remedy,
    details: { address: name },
    ...(cause === undefined ? {} : { cause }),
  });
}

function toCodedError(address: NbdAddress, cause: unknown): CodedError {
  const name = addressText(address);
  const errno = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  if (errno === "EADDRINUSE") {
    return inUse(name, "stop the server that uses it, or choose another address", cause);
  }
  if (errno === "EACCES" || errno === "EPERM") {
    return new CodedError("NBD_ADDRESS_DENIED", `no permission to listen on ${name}`, {
      remedy: "use a port above 1023 or a folder this user may write to",
      details: { address: name, errno },
      cause,
    });
  }
  return new CodedError("NBD_ADDRESS_INVALID", `cannot listen on ${name}: ${errno}`, {
    remedy: "use an address of this machine, or a path in a folder that exists",
    details: { address: name, errno },
    cause,
  });
}
