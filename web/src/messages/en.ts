/**
 * The panel in English. Keys are `area.what`; md's own words (in_sync, faulty, raid1 …) are not
 * translated, but explained. A translation is a file like this one.
 */

import { ACTION_MESSAGES } from "./en/actions.ts";
import { ARRAY_MESSAGES } from "./en/arrays.ts";
import { BOARD_MESSAGES } from "./en/boards.ts";
import { COMMON_MESSAGES } from "./en/common.ts";
import { DEVICE_MESSAGES } from "./en/devices.ts";
import { EXPORT_MESSAGES } from "./en/exports.ts";
import { SCRUB_MESSAGES } from "./en/scrubs.ts";
import type { Message } from "./message.ts";

/** Every message. */
export const EN = {
  ...COMMON_MESSAGES,
  ...ARRAY_MESSAGES,
  ...ACTION_MESSAGES,
  ...DEVICE_MESSAGES,
  ...EXPORT_MESSAGES,
  ...SCRUB_MESSAGES,
  ...BOARD_MESSAGES,
} as const satisfies Readonly<Record<string, Message>>;
