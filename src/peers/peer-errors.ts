/** What a peer's disk fails with. `name`: the device, as in `peer:BOARD/DISK`. */

import { CodedError } from "../common/errors.ts";
import { NBD_ENOSPC, NBD_ENOTSUP } from "../nbd/export-backend.ts";
import { refusalWord } from "./member-refusal.ts";

/** Final ones: asking again cannot help, the device is not what was opened any more. */
const FINAL: readonly string[] = [
  "HAL_PEER_REFUSED",
  "HAL_PEER_RESTARTED",
  "HAL_PEER_UNFIT",
  "HAL_PEER_UNTRUSTED",
];

/** What a connection failed with, in the words of devices: HAL_PEER_*. */
export const peerError = (name: string, error: unknown): CodedError => {
  if (!(error instanceof CodedError)) throw error;
  if (error.code.startsWith("HAL_")) return error;
  const cause = { cause: error };
  switch (error.code) {
    case "NBD_SERVER_REFUSED":
      return refusal(name, error);
    case "NBD_SERVER_UNTRUSTED":
      return new CodedError("HAL_PEER_UNTRUSTED", error.message, {
        remedy: "both boards need certificates of the same cluster, for their own names",
        ...cause,
      });
    case "NBD_SERVER_MISBEHAVED":
      return unfit(name, error.message, error);
    default:
      return unreachable(error);
  }
};

const unreachable = (cause: CodedError): CodedError =>
  new CodedError("HAL_PEER_UNREACHABLE", cause.message, {
    remedy: "see that the board runs, and to the network between the boards",
    cause,
  });

const refusal = (name: string, error: CodedError): CodedError => {
  if (error.details["reply"] === "ERR_SHUTDOWN") return unreachable(error);
  const said = String(error.details["said"] ?? "");
  const word = refusalWord(said);
  const text = said === "" ? error.message : `${name}: ${said}`;
  if (word === "restarted") {
    return new CodedError("HAL_PEER_RESTARTED", text, {
      remedy: "none: the disk is opened anew and what it missed is copied",
      cause: error,
    });
  }
  return new CodedError("HAL_PEER_REFUSED", text, {
    details: { reason: word ?? "other" },
    cause: error,
  });
};

/** The peer serves something else than what was asked for. */
export const unfit = (name: string, what: string, cause?: unknown): CodedError =>
  new CodedError("HAL_PEER_UNFIT", `${name}: ${what}`, {
    remedy: "run the same version on all boards of the cluster",
    cause,
  });

/** Another sentence names the device already. */
export const withoutName = (name: string, text: string): string =>
  text.startsWith(`${name}: `) ? text.slice(name.length + 2) : text;

/** Nothing is waited for any more. `why`: what ended it. */
export const peerGone = (name: string, why: CodedError): CodedError =>
  new CodedError("HAL_PEER_GONE", `${name}: given up (${withoutName(name, why.message)})`, {
    remedy: "none: the disk is used again once its board serves it again",
    details: { reason: why.code },
    cause: why,
  });

/** True for what ends a device at once, where else it would try to connect again. */
export const isFinal = (error: CodedError): boolean => FINAL.includes(error.code);

/** What a request failed with. `errno`: NBD's; `said`: the peer's sentence, or "". */
export const answerError = (
  name: string,
  verb: string,
  errno: number,
  said: string,
): CodedError => {
  if (errno === NBD_ENOSPC) {
    return new CodedError("HAL_NO_SPACE", `${name}: no space left for its data`, {
      remedy: "free space on the file system that holds it, on the board that has it",
    });
  }
  const text = said === "" ? `error ${errno}` : said;
  return new CodedError("HAL_IO_ERROR", `${name}: ${verb} failed (${text})`, {
    details: { errno },
  });
};

/** True for what the peer told that it cannot do quickly; nothing was changed. */
export const isSlowThere = (error: unknown): boolean =>
  error instanceof CodedError && error.details["errno"] === NBD_ENOTSUP;
