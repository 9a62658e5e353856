/** A newcomer's side of a join: knows the issuer by its CA's fingerprint, then asks. */
import https from "node:https";
import { CodedError, fromPlainError, type PlainError } from "../common/errors.ts";
import { clusterOfCa, fingerprintOf } from "./certificates.ts";
import { CA_PATH, JOIN_PATH } from "./cluster-port-driver.ts";
import { type JoinAsk, type JoinGrant, readGrant } from "./join-messages.ts";
import type { JoinToken } from "./join-token.ts";

const CA_MS = 10_000;
const JOIN_MS = 90_000;
const ANSWER_BYTES_MAX = 1024 * 1024;

/**
 * Joins. The secret leaves this machine only to who has a certificate of the token's CA.
 * Errors: LIFE_ISSUER_AWAY, LIFE_WRONG_CLUSTER, and what the issuer refuses.
 */
export const askToJoin = async (token: JoinToken, ask: JoinAsk): Promise<JoinGrant> => {
  const place = URL.parse(`https://${token.address}`);
  if (place === null) throw away(token);
  // Nothing is believed of who answers here but what has the fingerprint.
  const first = await send(
    token,
    place,
    "GET",
    CA_PATH,
    null,
    { rejectUnauthorized: false },
    CA_MS,
  );
  const ca = String((first as { readonly ca?: unknown }).ca ?? "");
  if (fingerprintOf(ca) !== token.fingerprint || clusterOfCa(ca) !== token.cluster)
    throw wrong(token);
  // Which board of the cluster answers does not matter: it has a certificate of this CA.
  const pinned = { ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
  const granted = readGrant(await send(token, place, "POST", JOIN_PATH, ask, pinned, JOIN_MS));
  if (fingerprintOf(granted.ca) !== token.fingerprint || granted.cluster !== token.cluster)
    throw wrong(token);
  return granted;
};

const send = async (
  token: JoinToken,
  place: URL,
  method: string,
  path: string,
  body: object | null,
  tls: https.RequestOptions,
  timeoutMs: number,
): Promise<unknown> => {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const text = body === null ? "" : JSON.stringify(body);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  const host = place.hostname.replaceAll(/[[\]]/g, "");
  const options = { host, port: place.port, method, path, headers, agent: false, ...tls };
  const request = https.request(options, (response) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    response.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > ANSWER_BYTES_MAX) request.destroy(new Error("a long answer"));
      else pieces.push(piece);
    });
    response.on("error", reject);
    response.on("end", () => resolve(Buffer.concat(pieces).toString("utf8")));
  });
  request.on("error", reject);
  const timer = setTimeout(() => request.destroy(new Error("no answer")), timeoutMs);
  request.end(text);
  let json: unknown;
  try {
    json = JSON.parse(await promise);
  } catch (cause) {
    throw away(token, cause);
  } finally {
    clearTimeout(timer);
  }
  const { error } = (json ?? {}) as { readonly error?: PlainError };
  if (typeof error?.code !== "string") return json;
  const { code, message, remedy } = error;
  throw fromPlainError({ code, message: String(message), remedy: String(remedy), details: {} });
};

const away = ({ address }: JoinToken, cause?: unknown): CodedError =>
  new CodedError("LIFE_ISSUER_AWAY", `the board at ${address} does not answer a join`, {
    remedy: "see that the board that made the token runs and that its cluster port can be reached",
    details: { address },
    cause,
  });

const wrong = ({ address, cluster }: JoinToken): CodedError =>
  new CodedError(
    "LIFE_WRONG_CLUSTER",
    `who answers at ${address} is not of the cluster ${cluster}`,
    {
      remedy: "make a new token; if that fails too, somebody stands between the two boards",
      details: { address },
    },
  );
