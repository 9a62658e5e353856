/** Tells a screen reader of syncs at every tenth percent, and of changes of health. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Board } from "../board/board.ts";
import { type Announcement, announcements, isUrgent } from "../board/progress-announcement.ts";
import { t } from "../messages/translate.ts";
import { board } from "./board-store.ts";

const textOf = (announcement: Announcement): string => {
  const { array } = announcement;
  if (announcement.kind === "health") {
    return t("sync.announce-health", { array, health: t(`health.${announcement.health}`) });
  }
  const action = t(`sync.action.${announcement.action}`);
  return t("sync.announce", { array, action, percent: announcement.percent });
};

/** Two live regions that nobody sees. */
export function Announcer() {
  const before = useRef<Board["arrays"] | null>(null);
  const [said, setSaid] = useState({ polite: "", urgent: "" });
  const arrays = board.value?.arrays ?? null;
  useEffect(() => {
    if (before.current !== null && arrays !== null && before.current !== arrays) {
      const found = announcements(before.current, arrays);
      const join = (urgent: boolean): string =>
        found
          .filter((announcement) => isUrgent(announcement) === urgent)
          .map(textOf)
          .join(". ");
      const next = { polite: join(false), urgent: join(true) };
      if (next.polite !== "" || next.urgent !== "") {
        setSaid((last) => ({
          polite: next.polite || last.polite,
          urgent: next.urgent || last.urgent,
        }));
      }
    }
    before.current = arrays;
  }, [arrays]);
  return (
    <div class="visually-hidden">
      <p aria-live="polite" data-part="announcer">
        {said.polite}
      </p>
      <p aria-live="assertive">{said.urgent}</p>
    </div>
  );
}
