/** How long a peer is waited for that is silent, hangs up, or speaks and lets nobody in. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { LinkPatience, LOOK_MS } from "../../../src/peers/link-patience.ts";

const test = suite("peers: patience with a connection");

/** Verdicts of `looks` silent looks; those that nothing follows from are left out. */
const silence = (
  patience: LinkPatience,
  looks: number,
  { isConnected = true, onLook = (): void => undefined } = {},
): string[] => {
  const told: string[] = [];
  for (let look = 1; look <= looks; look++) {
    onLook();
    const verdict = patience.look(isConnected);
    if (verdict !== "wait") told.push(`${verdict} after ${(look * LOOK_MS) / 1000} s`);
  }
  return told;
};

test("a peer of which nothing comes is asked, cut and given up within 6 s in all", () => {
  const patience = new LinkPatience();
  assert.equal(silence(patience, 6), ["ask after 1 s", "cut after 3 s"]);
  patience.broke();
  assert.equal(silence(patience, 6, { isConnected: false }), ["give-up after 3 s"]);
  assert.is(patience.seconds, 6);
});

test("one that hangs up and does not take a connection is given up after 5 s", () => {
  const patience = new LinkPatience();
  patience.broke();
  assert.equal(silence(patience, 10, { isConnected: false }), ["give-up after 5 s"]);
});

test("one that speaks and lets nobody in has 5 s from the end of the connection, silent before or not", () => {
  const patience = new LinkPatience();
  silence(patience, 6);
  patience.broke();
  const speaks = { isConnected: false, onLook: () => patience.spoke() };
  assert.equal(silence(patience, 10, speaks), ["give-up after 5 s"]);
});

test("connections that are made and give no answer do not begin the time anew", () => {
  const patience = new LinkPatience();
  silence(patience, 6);
  patience.broke();
  assert.equal(silence(patience, 2, { isConnected: false }), []);
  patience.began();
  assert.equal(silence(patience, 4), ["ask after 1 s"]);
  patience.broke();
  assert.equal(silence(patience, 4, { isConnected: false }), ["give-up after 2 s"]);
});

test("an answer is the end of all doubt", () => {
  const patience = new LinkPatience();
  silence(patience, 5);
  patience.heard();
  assert.equal(silence(patience, 6), ["ask after 1 s", "cut after 3 s"]);
  patience.broke();
  silence(patience, 5, { isConnected: false });
  patience.began();
  patience.heard();
  assert.is(patience.isBroken, false);
  assert.equal(silence(patience, 6), ["ask after 1 s", "cut after 3 s"]);
});

test.run();
