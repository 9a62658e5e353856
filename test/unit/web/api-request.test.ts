import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { curlOf, requests, shellWord } from "../../../web/src/api/api-request.ts";

const test = suite("api-request");

/** The words a shell makes of the command. */
const wordsOf = (command: string): string[] => {
  const script = `curl() { printf '%s\\0' "$@"; }; ${command}`;
  const { stdout, status } = spawnSync("sh", ["-c", script], {
    encoding: "utf8",
    env: { TOKEN: "secret" },
  });
  assert.is(status, 0);
  return stdout.split("\0").slice(0, -1);
};

test("the curl command sends what the panel sends", () => {
  const request = requests.addMember("1d70f103", "disk'1 $(x)", true);
  assert.equal(wordsOf(curlOf(request, "http://board:8090")), [
    "-X",
    "POST",
    "http://board:8090/api/v1/arrays/1d70f103/members",
    "-H",
    "Authorization: Bearer secret",
    "-H",
    "Prefer: wait=10",
    "-H",
    "Content-Type: application/json",
    "-d",
    JSON.stringify(request.body),
  ]);
});

test("a request without a body has no content type", () => {
  const words = wordsOf(curlOf(requests.failMember("a", "disk1"), "http://b"));
  assert.not(words.includes("-d"));
  assert.not(words.some((word) => word.startsWith("Content-Type")));
});

test("ids are one segment of the path, whatever they hold", () => {
  assert.is(requests.removeMember("a/b", "../x").path, "/api/v1/arrays/a%2Fb/members/..%2Fx");
  assert.is(requests.deleteExport("a?b", true).path, "/api/v1/exports/a%3Fb?force=true");
});

test("only words that need it are quoted", () => {
  assert.is(shellWord("http://a:1/b"), "http://a:1/b");
  assert.is(shellWord("it's"), "'it'\\''s'");
  assert.is(shellWord(""), "''");
});

test.run();
