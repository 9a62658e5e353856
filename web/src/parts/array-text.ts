/** Phrases about an array that several places use. */

import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { isRunning } from "../board/array-facts.ts";
import { t } from "../messages/translate.ts";

/** How many copies are in sync; only a running array knows. */
export function copiesText(array: ArrayResource): string {
  return isRunning(array)
    ? t("array.copies", {
        in_sync: array.status.in_sync_copies,
        count: array.config.raid_devices,
      })
    : t("array.not-running");
}
