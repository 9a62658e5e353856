/** Tokens by which boards join: one use, one hour, one issuer. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  checkToken,
  createToken,
  readToken,
  TOKEN_LIFE_MS,
  type TokenRecord,
} from "../../../src/life/join-token.ts";

const test = suite("join tokens");

const PLACE = { cluster: "attic", address: "192.0.2.7:8444", fingerprint: "ab".repeat(32) };
const NOW = 1_000_000_000_000;

const codeOf = (act: () => unknown): string => {
  try {
    act();
    return "no error";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

const tokenFor = (purpose = { role: "board" as const, replaces: null as string | null }) => {
  const { text, record } = createToken(PLACE, purpose, NOW);
  return { text, record, token: readToken(text) };
};

const check = (
  records: readonly TokenRecord[],
  token: { readonly id: string; readonly secret: string },
  { now = NOW, role = "board", name = "board-b" } = {},
): string => codeOf(() => checkToken(records, { ...token, role, name }, now));

test("the text says all that a newcomer needs, and one line can be copied", () => {
  const { text, token } = tokenFor();
  assert.match(text, /^satsuma-join-[A-Za-z0-9_-]+$/);
  assert.equal({ ...token, id: "", secret: "" }, { ...PLACE, id: "", secret: "", role: "board" });
  assert.equal(readToken(`  ${text}\n`), token);
});

test("the issuer keeps nothing that would let somebody join", () => {
  const { record, token } = tokenFor();
  assert.not.ok(JSON.stringify(record).includes(token.secret));
});

test("a token works for an hour by the issuer's clock, once, and for its purpose", () => {
  const { record, token } = tokenFor();
  assert.is(check([record], token), "no error");
  assert.is(check([record], token, { now: NOW + TOKEN_LIFE_MS - 1 }), "no error");
  assert.is(check([record], token, { now: NOW + TOKEN_LIFE_MS }), "LIFE_TOKEN_EXPIRED");
  assert.is(check([record], token, { now: 0 }), "LIFE_TOKEN_EXPIRED");
  assert.is(check([{ ...record, usedAt: NOW }], token), "LIFE_TOKEN_USED");
  assert.is(check([record], token, { role: "witness" }), "LIFE_TOKEN_OTHER_PURPOSE");
});

test("a token that replaces a board is for its name alone", () => {
  const { record, token } = tokenFor({ role: "board", replaces: "board-a" });
  assert.is(check([record], token, { name: "board-a" }), "no error");
  assert.is(check([record], token, { name: "board-b" }), "LIFE_TOKEN_OTHER_PURPOSE");
});

test("a forged token is told no more than that it is refused", () => {
  const { record, token } = tokenFor();
  const other = tokenFor();
  const used = { ...record, usedAt: NOW };
  assert.is(check([record], other.token), "LIFE_TOKEN_REFUSED");
  assert.is(check([record], { id: token.id, secret: other.token.secret }), "LIFE_TOKEN_REFUSED");
  assert.is(check([used], { id: token.id, secret: other.token.secret }), "LIFE_TOKEN_REFUSED");
  assert.is(check([], token), "LIFE_TOKEN_REFUSED");
});

test("what is no token is refused before anybody is asked", () => {
  const { text } = tokenFor();
  const part = text.slice("satsuma-join-".length);
  const fields = JSON.parse(Buffer.from(part, "base64url").toString()) as unknown[];
  const withField = (index: number, value: unknown): string => {
    const changed = fields.map((field, at) => (at === index ? value : field));
    return `satsuma-join-${Buffer.from(JSON.stringify(changed)).toString("base64url")}`;
  };
  const bad = [
    "",
    part,
    text.slice(0, -4),
    `satsuma-join-${"A".repeat(2000)}`,
    withField(0, 2),
    withField(1, "../x"),
    withField(2, "a/b"),
    withField(3, "http://x"),
    withField(4, 7),
    withField(5, "abc"),
    withField(6, "king"),
  ];
  for (const one of bad)
    assert.is(
      codeOf(() => readToken(one)),
      "LIFE_BAD_TOKEN",
      one,
    );
});

test.run();
