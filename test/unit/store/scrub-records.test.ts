/** Scrubs, schedules and spares as stored: what is kept, and for how long. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { SCRUBS_KEPT, type ScrubRow } from "../../../src/store/scrub-records.ts";
import { openStore, type Store } from "../../../src/store/store.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const withStore = (body: (store: Store, reopen: () => Store) => void) =>
  inFolder(async (folder) => {
    const path = join(folder, "a.db");
    let store = openStore({ path });
    body(store, () => {
      store.close();
      store = openStore({ path });
      return store;
    });
    store.close();
  });

const scrub = (id: number, over: Partial<ScrubRow> = {}): ScrubRow => ({
  id,
  arrayUuid: "u",
  isEnded: true,
  isWholeSuccess: false,
  startedAt: id * 10,
  endedAt: id * 10 + 5,
  document: `{"id":${id}}`,
  ...over,
});

const test = suite("store/scrub-records");

test(
  "the newest scrubs are kept, and with them the last whole one that succeeded",
  withStore((store, reopen) => {
    store.scrubs.put(scrub(1, { isWholeSuccess: true }));
    store.scrubs.put(scrub(2, { isWholeSuccess: true }));
    store.scrubs.put(scrub(3, { arrayUuid: "other" }));
    for (let id = 4; id < 4 + 2 * SCRUBS_KEPT; id += 1) store.scrubs.put(scrub(id));
    const { scrubs } = reopen();
    const ids = scrubs.page("u", 1000).map((document) => JSON.parse(document).id);
    assert.equal([ids.length, ids[0], ids.at(-1)], [SCRUBS_KEPT + 1, 3 + 2 * SCRUBS_KEPT, 2]);
    assert.is(scrubs.page("other", 9).length, 1);
    assert.equal(scrubs.lastWhole(), [{ arrayUuid: "u", startedAt: 20, endedAt: 25 }]);
    assert.is(scrubs.nextId(), 4 + 2 * SCRUBS_KEPT);
  }),
);

test(
  "an unfinished scrub is found again, and goes when it ends",
  withStore((store, reopen) => {
    store.scrubs.put(scrub(1, { isEnded: false, endedAt: null }));
    assert.equal(reopen().scrubs.unfinished(), ['{"id":1}']);
  }),
);

test(
  "a schedule is replaced and removed",
  withStore((store, reopen) => {
    store.scrubs.putSchedule({ arrayUuid: "u", document: "1" });
    store.scrubs.putSchedule({ arrayUuid: "u", document: "2" });
    const { scrubs } = reopen();
    assert.equal(scrubs.schedules(), [{ arrayUuid: "u", document: "2" }]);
    scrubs.removeSchedule("u");
    assert.equal(scrubs.schedules(), []);
  }),
);

test(
  "spare groups and moves of spares are found again",
  withStore((store, reopen) => {
    store.spares.put({ arrayUuid: "u", spareGroup: "a", sparesWhenWhole: null });
    store.spares.put({ arrayUuid: "u", spareGroup: "b", sparesWhenWhole: 2 });
    store.spares.beginMove({ path: "/a", fromUuid: "u", toUuid: "v" });
    const { spares } = reopen();
    assert.equal(spares.list(), [{ arrayUuid: "u", spareGroup: "b", sparesWhenWhole: 2 }]);
    assert.equal(spares.moves(), [{ path: "/a", fromUuid: "u", toUuid: "v" }]);
    spares.endMove("/a");
    assert.equal(spares.moves(), []);
  }),
);

test.run();
