/** Votes of members of a cluster and ways between boards, in a word and what there is to say. */

import type { BoardRow, MemberAnswer } from "../board/cluster-view.ts";
import type { Way } from "../board/cluster-ways.ts";
import { formatBytes } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { Badge, type Tone } from "../parts/badge.tsx";

/** The tones of ways. */
export const WAY_TONES: Readonly<Record<Way["state"], Tone>> = {
  local: "plain",
  up: "good",
  reconnecting: "warning",
  down: "bad",
  unknown: "faint",
};

/** Seconds as milliseconds, to a tenth. */
export const latencyText = (seconds: number): string =>
  t("way.latency", { ms: (seconds * 1000).toFixed(1) });

const etcdText = ({ etcd_version: version, database_bytes }: MemberAnswer): string =>
  database_bytes === null
    ? t("vote.etcd", { version })
    : t("vote.etcd-size", { version, size: formatBytes(database_bytes) });

/** Whether it votes; of a configured etcd only whether a member with the board's name answers. */
export function Vote({ row }: { row: Pick<BoardRow, "member" | "answers"> }) {
  const { member, answers } = row;
  const vote = member?.vote ?? (answers === null ? "none" : "voter");
  return (
    <div class="states">
      <Badge word={t(`vote.${vote}`)} tone={vote === "voter" ? "good" : "plain"} />
      {answers === false && (
        <Badge word={t("vote.silent")} tone="bad" explain={t("vote.silent-why")} />
      )}
      {member?.elected === true && (
        <span class="faint" title={t("vote.elected-why")}>
          {t("vote.elected")}
        </span>
      )}
      {member !== null && member.etcd_version !== "" && (
        <span class="faint own-line">{etcdText(member)}</span>
      )}
    </div>
  );
}

/** The way from this board to another one. */
export function WayCell({ way }: { way: Way | null }) {
  if (way === null) {
    return <span class="faint">{t("common.none")}</span>;
  }
  return (
    <div class="states">
      <Badge word={t(`way.${way.state}`)} tone={WAY_TONES[way.state]} />
      {way.latency !== null && way.state === "up" && (
        <span class="number">{latencyText(way.latency)}</span>
      )}
      {way.reconnects > 0 && (
        <span class="faint">{t("way.reconnects", { count: way.reconnects })}</span>
      )}
      {way.lastError !== null && way.state !== "up" && (
        <span class="warn own-line">{way.lastError}</span>
      )}
    </div>
  );
}
