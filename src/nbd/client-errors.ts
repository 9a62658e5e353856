/** What a client's connection to an NBD server fails with. `server`: its name, for people. */
import { CodedError } from "../common/errors.ts";

/** It cannot be reached, or ended the connection before it answered. */
export function unreachable(server: string, why: string, cause?: unknown): CodedError {
  return new CodedError("NBD_SERVER_UNREACHABLE", `${server}: ${why}`, {
    remedy: "see that the server runs, and to the network between",
    cause,
  });
}

/** TLS failed: one side does not trust the other's certificate. */
export function untrusted(server: string, why: string, cause?: unknown): CodedError {
  return new CodedError("NBD_SERVER_UNTRUSTED", `${server}: ${why}`, {
    remedy: "both certificates must come from the authority that the other side trusts",
    cause,
  });
}

/** It answered with an error reply. `said`: its own sentence, or "". */
export function refused(server: string, reply: number, said: string): CodedError {
  const name = REPLY_NAMES.get(reply) ?? `error reply ${reply - 2 ** 31}`;
  const text = said === "" ? name : `${name}: ${said}`;
  return new CodedError("NBD_SERVER_REFUSED", `${server}: refused (${text})`, {
    details: { reply: name, said },
  });
}

/** It broke the protocol; nothing that it sent after that can be told apart. */
export function misbehaved(server: string, what: string): CodedError {
  return new CodedError("NBD_SERVER_MISBEHAVED", `${server}: broke the protocol: ${what}`, {
    remedy: "update the server; if it is current, report it with the daemon's log",
    details: { what },
  });
}

/** The connection ended while it was in use. */
export function lost(server: string, why: string, cause?: unknown): CodedError {
  return new CodedError("NBD_CONNECTION_LOST", `${server}: ${why}`, {
    remedy: "see that the server runs, and to the network between",
    cause,
  });
}

/** Source: NBD protocol doc/proto.md, "Option reply types". */
const REPLY_NAMES: ReadonlyMap<number, string> = new Map([
  [0x8000_0001, "ERR_UNSUP"],
  [0x8000_0002, "ERR_POLICY"],
  [0x8000_0003, "ERR_INVALID"],
  [0x8000_0004, "ERR_PLATFORM"],
  [0x8000_0005, "ERR_TLS_REQD"],
  [0x8000_0006, "ERR_UNKNOWN"],
  [0x8000_0007, "ERR_SHUTDOWN"],
  [0x8000_0008, "ERR_BLOCK_SIZE_REQD"],
  [0x8000_0009, "ERR_TOO_BIG"],
]);
