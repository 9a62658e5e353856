/**
 * Tokens by which a board or a witness joins. One works once, for an hour by the clock of the board
 * that made it, which keeps only a digest of its secret. The text carries all that the newcomer
 * needs: where to ask, and the fingerprint of the CA, so that it gives its secret to nobody else.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { CodedError } from "../common/errors.ts";
import { isClusterName } from "./life-names.ts";

/** Boards keep disks and can let others join; a witness only has a vote. */
export type Role = "board" | "witness";

/** What the text of a token says. */
export interface JoinToken {
  readonly id: string;
  readonly secret: string;
  readonly cluster: string;
  /** HOST:PORT of the issuer's cluster port. */
  readonly address: string;
  /** SHA-256 of the cluster's CA certificate, 64 hex digits. */
  readonly fingerprint: string;
  readonly role: Role;
}

/** What the issuer keeps. Times: milliseconds since 1970 by its own clock. */
export interface TokenRecord {
  readonly id: string;
  /** 64 hex digits. */
  readonly secretSha256: string;
  readonly role: Role;
  /** Only for this name: new hardware takes the place of the board that has it. */
  readonly replaces: string | null;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly usedAt: number | null;
}

/** How long a token works. */
export const TOKEN_LIFE_MS = 60 * 60 * 1000;
/** Most tokens that a board keeps, used and expired ones among them. */
export const TOKENS_MAX = 64;

const PREFIX = "satsuma-join-";
const TEXT_MAX = 1024;
const SECRET = /^[A-Za-z0-9_-]{43}$/;
const ID = /^[0-9a-f]{16}$/;
const FINGERPRINT = /^[0-9a-f]{64}$/;
const ADDRESS = /^(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[1-9][0-9]{0,4}$/;

/** What a new token is for. */
export interface TokenPurpose {
  readonly role: Role;
  readonly replaces: string | null;
}

/** Makes a token; the secret is in the text alone. */
export const createToken = (
  place: Pick<JoinToken, "cluster" | "address" | "fingerprint">,
  { role, replaces }: TokenPurpose,
  now: number,
): { readonly text: string; readonly record: TokenRecord } => {
  const id = randomBytes(8).toString("hex");
  const secret = randomBytes(32).toString("base64url");
  const { cluster, address, fingerprint } = place;
  const content = JSON.stringify([1, id, secret, cluster, address, fingerprint, role]);
  const expiresAt = now + TOKEN_LIFE_MS;
  const secretSha256 = digest(secret).toString("hex");
  return {
    text: PREFIX + Buffer.from(content).toString("base64url"),
    record: { id, secretSha256, role, replaces, createdAt: now, expiresAt, usedAt: null },
  };
};

/** Errors: LIFE_BAD_TOKEN for a text that is no token. */
export const readToken = (text: string): JoinToken => {
  const trimmed = text.trim();
  if (trimmed.length <= TEXT_MAX && trimmed.startsWith(PREFIX)) {
    const found = decode(trimmed.slice(PREFIX.length));
    if (found !== null) return found;
  }
  throw new CodedError("LIFE_BAD_TOKEN", "this is no join token", {
    remedy: "copy the whole line that satsuma cluster token printed",
  });
};

/**
 * The record that lets the asker join under this name.
 * Errors: LIFE_TOKEN_REFUSED for an id that is not known or a wrong secret, LIFE_TOKEN_USED,
 * LIFE_TOKEN_EXPIRED, LIFE_TOKEN_OTHER_PURPOSE.
 */
export const checkToken = (
  records: readonly TokenRecord[],
  { id, secret, role, name }: Readonly<Record<"id" | "secret" | "role" | "name", string>>,
  now: number,
): TokenRecord => {
  const record = records.find((one) => one.id === id);
  // An unknown id costs the same comparison as a known one.
  const expected = Buffer.from(record?.secretSha256 ?? "0".repeat(64), "hex");
  const isRight = timingSafeEqual(digest(secret), expected);
  if (record === undefined || !isRight)
    throw refused("LIFE_TOKEN_REFUSED", "the token is not of this board");
  if (record.usedAt !== null) throw refused("LIFE_TOKEN_USED", "the token was used before");
  // A clock that went back makes no token last longer than it was meant to.
  if (now >= record.expiresAt || now < record.createdAt - TOKEN_LIFE_MS)
    throw refused("LIFE_TOKEN_EXPIRED", "the token has expired");
  if (record.role !== role) throw otherPurpose(`the token is for a ${record.role}`);
  if (record.replaces !== null && record.replaces !== name)
    throw otherPurpose(`the token is for the board ${record.replaces}`);
  return record;
};

const refused = (
  code: "LIFE_TOKEN_REFUSED" | "LIFE_TOKEN_USED" | "LIFE_TOKEN_EXPIRED",
  message: string,
): CodedError => new CodedError(code, message, { remedy: "make a new one: satsuma cluster token" });

const otherPurpose = (message: string): CodedError =>
  new CodedError("LIFE_TOKEN_OTHER_PURPOSE", message, {
    remedy: "make one for what you want: satsuma cluster token [--witness] [--replace NAME]",
  });

const digest = (secret: string): Buffer => createHash("sha256").update(secret).digest();

const decode = (text: string): JoinToken | null => {
  let content: unknown = null;
  try {
    content = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
  } catch {
    return null;
  }
  if (!Array.isArray(content) || content.length !== 7) return null;
  if (!content.slice(1).every((part) => typeof part === "string") || content[0] !== 1) return null;
  const [, id, secret, cluster, address, fingerprint, role] = content as [number, ...string[]];
  if (!ID.test(id ?? "") || !SECRET.test(secret ?? "") || !isClusterName(cluster ?? ""))
    return null;
  if (!ADDRESS.test(address ?? "") || !FINGERPRINT.test(fingerprint ?? "")) return null;
  if (role !== "board" && role !== "witness") return null;
  return { id, secret, cluster, address, fingerprint, role } as JoinToken;
};
