/** A sentence that the board wrote, with devices by name; as it was written on hover. */

import { withDeviceNames } from "../board/device-names.ts";
import { board } from "../shell/board-store.ts";

/** The sentence. */
export function BoardText({ text }: { text: string }) {
  const devices = board.value?.devices.values() ?? [];
  const shown = withDeviceNames(text, devices);
  return <span {...(shown === text ? {} : { title: text })}>{shown}</span>;
}
