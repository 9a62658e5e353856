/** The notices in a corner: said politely, dismissed by hand when they are problems. */

import { t } from "../messages/translate.ts";
import { ProblemBox } from "../parts/problem-box.tsx";
import { dismiss, notices } from "./notices.ts";

/** The list; the region is always there, so that assistive technology hears what comes in. */
export function NoticeList() {
  return (
    <div class="notices" role="status" aria-label={t("shell.notices")}>
      {notices.value.map(({ id, text, problem }) => (
        <div key={id} class="notice">
          {problem === null ? <p>{text}</p> : <ProblemBox problem={problem} />}
          <button
            type="button"
            class="button quiet small"
            onClick={() => dismiss(id)}
            aria-label={t("common.dismiss")}
          >
            <svg viewBox="0 0 16 16" width="12" height="12" aria-hidden="true">
              <path class="stroke" d="M4 4l8 8M12 4l-8 8" />
            </svg>
          </button>
        </div>
      ))}
    </div>
  );
}
