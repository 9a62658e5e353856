/** What `satsuma export attach` prints, of a board that serves the export or does not. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { AttachResource } from "../../../src/api/schemas/export.ts";
import { attachText } from "../../../src/cli/attach-text.ts";

const test = suite("cli/attach-text");

const attach = (closed: string | null): AttachResource => ({
  export_id: "md0",
  uris: { unix: null, tcp: "nbd://board1:10809/md0" },
  closed,
  elsewhere: [{ board: "board2", uri: "nbd://board2:10809/md0" }],
  items: [
    {
      target: "nbdinfo",
      transport: "tcp",
      title: "Show the export",
      text: "nbdinfo nbd://board1:10809/md0",
    },
  ],
});

test("the board's own commands, then where else it is", () => {
  assert.equal(attachText(attach(null)).split("\n"), [
    "# Show the export",
    "nbdinfo nbd://board1:10809/md0",
    "",
    "# also at board2: nbd://board2:10809/md0",
    "",
  ]);
});

test("of a drained board: that it is, and the other boards first", () => {
  const lines = attachText(attach("the board is drained")).split("\n");
  assert.equal(lines.slice(0, 6), [
    "# this board does not serve md0 now: the board is drained",
    "",
    "# at board2:",
    "nbdinfo 'nbd://board2:10809/md0'",
    "",
    "# when it serves it again:",
  ]);
  assert.ok(lines.includes("nbdinfo nbd://board1:10809/md0"));
});

test.run();
