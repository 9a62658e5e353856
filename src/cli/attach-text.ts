/** What `satsuma export attach` prints. */

import type { AttachResource } from "../api/schemas/export.ts";

/** Why the commands for this board lead nowhere now, and where else the export is. */
const closedText = ({ export_id, closed, elsewhere }: AttachResource): string => {
  if (closed === null) return "";
  const others = elsewhere.map(({ board, uri }) => `# at ${board}:\nnbdinfo '${uri}'\n\n`);
  return `# this board does not serve ${export_id} now: ${closed}\n\n${others.join("")}`;
};

/** All commands; those of boards that serve the export come first. */
export const attachText = (attach: AttachResource): string => {
  const { items, closed, elsewhere } = attach;
  const own = items.map(({ title, text }) => `# ${title}\n${text}\n\n`).join("");
  if (closed !== null) return `${closedText(attach)}# when it serves it again:\n\n${own}`;
  return own + elsewhere.map(({ board, uri }) => `# also at ${board}: ${uri}\n`).join("");
};

/** The commands alone, for a target that was named. */
export const targetText = (attach: AttachResource): string =>
  attach.items.map(({ text }) => `${text}\n`).join("");
