/** Everything a board remembers, over one database file. */

import { ArrayRegistry } from "./array-registry.ts";
import { Database, type DatabaseOptions } from "./database.ts";
import { DeviceRecords } from "./device-records.ts";
import { EventLog } from "./event-log.ts";
import { ExportRecords } from "./export-records.ts";
import { JobRecords } from "./job-records.ts";
import { ScrubRecords } from "./scrub-records.ts";
import { Settings } from "./settings.ts";
import { SpareRecords } from "./spare-records.ts";
import { StoredReplies } from "./stored-replies.ts";
import { TokenRecords } from "./token-records.ts";

/** The tables of one board. */
export interface Store {
  readonly path: string;
  readonly arrays: ArrayRegistry;
  readonly devices: DeviceRecords;
  readonly events: EventLog;
  readonly exports: ExportRecords;
  readonly jobs: JobRecords;
  readonly replies: StoredReplies;
  readonly scrubs: ScrubRecords;
  readonly settings: Settings;
  readonly spares: SpareRecords;
  readonly tokens: TokenRecords;
  close(): void;
}

/** Opens the board's database. Errors: as `Database.open`. */
export const openStore = (options: DatabaseOptions): Store => {
  const database = Database.open(options);
  return {
    path: options.path,
    arrays: new ArrayRegistry(database),
    devices: new DeviceRecords(database),
    events: new EventLog(database),
    exports: new ExportRecords(database),
    jobs: new JobRecords(database),
    replies: new StoredReplies(database),
    scrubs: new ScrubRecords(database),
    settings: new Settings(database),
    spares: new SpareRecords(database),
    tokens: new TokenRecords(database),
    close: () => {
      database.close();
    },
  };
};
