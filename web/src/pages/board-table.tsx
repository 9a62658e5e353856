/** The boards: who lives, who votes, how they are reached, and what can be done with each. */

import type { ImpactResource } from "../../../src/api/schemas/node.ts";
import type { BoardRow, MemberAnswer } from "../board/cluster-view.ts";
import type { Way } from "../board/cluster-ways.ts";
import { formatBytes } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { Badge, type Tone } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { TimeAgo } from "../parts/quantities.tsx";
import { BoardActions } from "./board-actions.tsx";

const STATE_TONES = { up: "good", away: "bad", leaving: "warning" } as const;
const SERVICE_TONES = {
  "in-service": "good",
  draining: "busy",
  drained: "warning",
  maintenance: "warning",
} as const;

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

function Name({ row }: { row: BoardRow }) {
  return (
    <span class="device-cell">
      <span>
        <span class="device-name">{row.name}</span>
        {row.isHere && <span class="faint"> {t("boards.here")}</span>}
      </span>
      {row.version !== "" && (
        <span class="faint">{t("boards.version", { version: row.version })}</span>
      )}
      {row.address !== "" && <code class="faint breakable">{row.address}</code>}
    </span>
  );
}

function Service({ status }: { status: NonNullable<BoardRow["status"]> }) {
  const addresses = [...new Set(status.elsewhere.flatMap((one) => one.addresses))];
  return (
    <>
      <Badge word={t(`boards.service.${status.state}`)} tone={SERVICE_TONES[status.state]} />
      {status.since !== null && (
        <span class="faint">
          <TimeAgo time={status.since} />
        </span>
      )}
      {addresses.length > 0 && (
        <span class="own-line">{t("boards.elsewhere", { addresses: addresses.join(", ") })}</span>
      )}
    </>
  );
}

function State({ row }: { row: BoardRow }) {
  const { state, status, runs } = row;
  return (
    <div class="states">
      <Badge
        word={t(`boards.state.${state}`)}
        tone={STATE_TONES[state]}
        explain={t(`boards.explain.${state}`)}
      />
      {status !== null && <Service status={status} />}
      {runs !== null && (
        <span class="faint own-line">
          {runs.length === 0
            ? t("boards.runs-none")
            : t("boards.runs", { arrays: runs.join(", ") })}
        </span>
      )}
    </div>
  );
}

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

function WayCell({ way }: { way: Way | null }) {
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

interface BoardTableProperties {
  readonly rows: readonly BoardRow[];
  readonly impacts: readonly ImpactResource[];
  readonly isManaged: boolean;
}

/** The table. */
export function BoardTable({ rows, impacts, isManaged }: BoardTableProperties) {
  // An etcd that runs elsewhere has no vote of any board.
  const isVoting = isManaged || rows.some(({ answers }) => answers !== null);
  const columns: readonly Column<BoardRow>[] = [
    { key: "board", title: t("boards.name"), kind: "key", cell: (row) => <Name row={row} /> },
    { key: "state", title: t("boards.state"), cell: (row) => <State row={row} /> },
    ...(isVoting
      ? [{ key: "vote", title: t("boards.vote"), cell: (row: BoardRow) => <Vote row={row} /> }]
      : []),
    { key: "way", title: t("boards.way"), cell: ({ way }) => <WayCell way={way} /> },
    {
      key: "actions",
      title: t("common.actions"),
      kind: "actions",
      cell: (row) => (
        <BoardActions
          row={row}
          impacts={impacts}
          isManaged={isManaged}
          isOnly={rows.length === 1}
        />
      ),
    },
  ];
  return (
    <section class="panel" aria-label={t("boards.title")}>
      <DataTable
        label={t("boards.title")}
        columns={columns}
        rows={rows}
        rowKey={({ name }) => name}
      />
    </section>
  );
}
