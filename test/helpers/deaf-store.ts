/** A store whose watch loses what happens to some keys, as etcd's has done (19251, 17610). */
import type { Revision, StoreWatch, WatchHint } from "../../src/cluster/store/cluster-store.ts";
import { EmbeddedStore } from "../../src/cluster/store/embedded-store-driver.ts";
import { keyOf } from "../../src/cluster/store/revisioned-map.ts";

export class DeafStore extends EmbeddedStore {
  /** Whether the watch tells of this key. */
  hears: (key: string) => boolean = () => true;

  override watch(prefix: string, from: Revision, listener: (hint: WatchHint) => void): StoreWatch {
    return super.watch(prefix, from, (hint) => {
      if (hint.type === "ended") return listener(hint);
      const changes = hint.changes.filter((change) => this.hears(keyOf(change)));
      if (changes.length > 0) listener({ type: "changes", changes });
    });
  }
}
