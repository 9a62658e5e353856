/** The settings database: opening, refusing, migrating, and what each failure is called. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../../src/common/errors.ts";
import { Database } from "../../../src/store/database.ts";
import { MIGRATIONS } from "../../../src/store/migrations.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof CodedError ? error.code : `uncoded: ${String(error)}`;
  }
  return "none";
};

const test = suite("store/database");

test(
  "opens a new file at the newest schema and finds everything again",
  inFolder(async (folder) => {
    const path = join(folder, "a.db");
    const first = Database.open({ path });
    first.run("INSERT INTO settings (key, value) VALUES (?, ?)", "k", "v");
    first.close();
    const second = Database.open({ path });
    assert.equal(second.first("SELECT value FROM settings WHERE key = ?", "k"), { value: "v" });
    assert.equal(second.first("PRAGMA user_version"), { user_version: MIGRATIONS.length });
    second.close();
  }),
);

test(
  "refuses a second opener by name while the first is open",
  inFolder(async (folder) => {
    const path = join(folder, "a.db");
    const first = Database.open({ path });
    assert.is(
      codeOf(() => Database.open({ path })),
      "STORE_IN_USE",
    );
    first.close();
    Database.open({ path }).close();
  }),
);

test(
  "refuses a file of a newer version and leaves it as it is",
  inFolder(async (folder) => {
    const path = join(folder, "a.db");
    const made = new Sqlite(path);
    made.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    made.close();
    assert.is(
      codeOf(() => Database.open({ path })),
      "STORE_VERSION_NEWER",
    );
    const read = new Sqlite(path, { readonly: true });
    assert.is(read.pragma("user_version", { simple: true }), MIGRATIONS.length + 1);
    assert.equal(read.prepare("SELECT name FROM sqlite_master").all(), []);
    read.close();
  }),
);

test(
  "tells a file that is no database, and one with damaged pages",
  inFolder(async (folder) => {
    const noise = join(folder, "noise.db");
    writeFileSync(noise, Buffer.alloc(8192, 0x5a));
    assert.is(
      codeOf(() => Database.open({ path: noise })),
      "STORE_CORRUPT",
    );

    const path = join(folder, "a.db");
    const database = Database.open({ path });
    for (let index = 0; index < 500; index += 1) {
      database.run("INSERT INTO settings (key, value) VALUES (?, ?)", `k${index}`, "x".repeat(200));
    }
    database.close();
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 4096 * 5, 4096 * 20);
    writeFileSync(path, bytes);
    assert.is(
      codeOf(() => Database.open({ path })),
      "STORE_CORRUPT",
    );
  }),
);

test(
  "tells a place that cannot be written",
  inFolder(async (folder) => {
    writeFileSync(join(folder, "file"), "");
    const places = [join(folder, "file", "a.db"), "/proc/satsuma.db", folder];
    assert.equal(
      places.map((path) => codeOf(() => Database.open({ path }))),
      ["STORE_NOT_WRITABLE", "STORE_NOT_WRITABLE", "STORE_NOT_WRITABLE"],
    );
  }),
);

test(
  "tells a full filesystem and keeps what was there",
  inFolder(async (folder) => {
    const database = Database.open({ path: join(folder, "a.db"), pagesMax: 40 });
    const fill = () => {
      for (let index = 0; index < 1000; index += 1) {
        database.run("INSERT INTO settings VALUES (?, ?)", `k${index}`, "x".repeat(1000));
      }
    };
    assert.is(codeOf(fill), "STORE_FULL");
    assert.is(
      codeOf(() => database.transaction(fill)),
      "uncoded: SqliteError: UNIQUE constraint failed: settings.key",
    );
    const kept = database.first<{ total: number }>("SELECT count(*) AS total FROM settings");
    assert.ok((kept?.total ?? 0) > 10);
    database.close();
  }),
);

test(
  "a transaction that throws leaves nothing behind",
  inFolder(async (folder) => {
    const database = Database.open({ path: join(folder, "a.db") });
    for (const kind of ["transaction", "durably"] as const) {
      assert.throws(() =>
        database[kind](() => {
          database.run("INSERT INTO settings (key, value) VALUES (?, ?)", kind, "v");
          throw new Error("changed its mind");
        }),
      );
    }
    assert.equal(database.all("SELECT key FROM settings"), []);
    database.close();
  }),
);

test.run();
