/** Texts of the board name devices by path; people know them by name. Pure. */

import type { DeviceResource } from "../../../src/api/schemas/device.ts";

/** What a path may end at: a longer path must not be taken for its beginning. */
const PATH_CHARACTER = /[A-Za-z0-9_/-]/;

const replaceWhole = (text: string, path: string, name: string): string => {
  let result = "";
  let from = 0;
  for (let at = text.indexOf(path); at !== -1; at = text.indexOf(path, from)) {
    const end = at + path.length;
    const isWhole =
      !PATH_CHARACTER.test(text[at - 1] ?? " ") &&
      !PATH_CHARACTER.test(text[end] ?? " ") &&
      !/^\.[A-Za-z0-9]/.test(text.slice(end));
    result += text.slice(from, at) + (isWhole ? name : path);
    from = end;
  }
  return result + text.slice(from);
};

/** `text` with the paths of known devices replaced by their names. */
export function withDeviceNames(text: string, devices: Iterable<DeviceResource>): string {
  let result = text;
  for (const { name, status } of devices) {
    if (result.includes(status.path)) {
      result = replaceWhole(result, status.path, name);
    }
  }
  return result;
}
