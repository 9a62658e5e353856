/**
 * Bearer tokens: `satsuma_<8 characters id>_<43 characters secret>`. The board keeps the id and the
 * SHA-256 of the secret; the token itself is shown once.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { TokenRecords } from "../store/token-records.ts";

const FORMAT = /^satsuma_([0-9a-f]{8})_([A-Za-z0-9_-]{43})$/;

const digest = (secret: string): Uint8Array => createHash("sha256").update(secret).digest();

/** Who a token stands for. */
export interface TokenHolder {
  readonly id: string;
  readonly name: string;
}

/**
 * Makes a token named `name`, replacing earlier ones of that name; returns it in clear. `keep` is
 * given it BEFORE it counts: when that throws, the tokens stay as they were.
 */
export function issueToken(
  records: TokenRecords,
  name: string,
  now: number,
  keep: (token: string) => void = () => undefined,
): string {
  const id = randomBytes(4).toString("hex");
  const secret = randomBytes(32).toString("base64url");
  const token = `satsuma_${id}_${secret}`;
  keep(token);
  records.replaceByName({ id, name, secretSha256: digest(secret), createdAt: now });
  return token;
}

/** Who `token` stands for, or null. Takes the same time for every wrong secret. */
export function holderOf(records: TokenRecords, token: string): TokenHolder | null {
  const match = FORMAT.exec(token);
  const [, id, secret] = match ?? [];
  if (id === undefined || secret === undefined) {
    return null;
  }
  const record = records.find(id);
  // An unknown id costs the same comparison as a known one.
  const expected = record?.secretSha256 ?? new Uint8Array(32);
  const isRight = timingSafeEqual(digest(secret), expected);
  return record !== null && isRight ? { id: record.id, name: record.name } : null;
}
