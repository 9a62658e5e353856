/** Says whether what is shown is live, being reconnected, or out of date and since when. */

import { formatClock } from "../format/duration.ts";
import { t } from "../messages/translate.ts";
import { board, liveness, retryNow } from "./board-store.ts";
import { now } from "./clock.ts";

/** A reconnection that takes longer than this is called stale. */
const STALE_AFTER_MS = 5000;

const describe = (): { readonly kind: string; readonly text: string; readonly why: string } => {
  const state = liveness.value;
  if (state.state === "live") {
    return { kind: "live", text: t("live.live"), why: t("live.live-why") };
  }
  if (state.state === "connecting" || board.value === null) {
    return { kind: "connecting", text: t("live.connecting"), why: "" };
  }
  // Reading the clock makes the mark change by itself.
  const isStale = now.value > 0 && Date.now() - state.since > STALE_AFTER_MS;
  return isStale
    ? {
        kind: "stale",
        text: t("live.stale", { time: formatClock(state.since) }),
        why: t("live.stale-why"),
      }
    : { kind: "reconnecting", text: t("live.reconnecting"), why: t("live.stale-why") };
};

/** The mark, with a button to try again while the connection is lost. */
export function LiveMark() {
  const { kind, text, why } = describe();
  return (
    <>
      <span class={`live live-${kind}`} role="status" title={why} data-live={kind}>
        <span class="live-dot" aria-hidden="true" />
        {text}
      </span>
      {liveness.value.state === "lost" && (
        <button type="button" class="button quiet" onClick={retryNow}>
          {t("live.retry")}
        </button>
      )}
    </>
  );
}
