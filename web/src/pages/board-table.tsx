/** The boards: who lives, who votes, how they are reached, and what can be done with each. */

import type { ImpactResource } from "../../../src/api/schemas/node.ts";
import type { BoardRow } from "../board/cluster-view.ts";
import { t } from "../messages/translate.ts";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { TimeAgo } from "../parts/quantities.tsx";
import { BoardActions } from "./board-actions.tsx";
import { Vote, WayCell } from "./board-cells.tsx";

const STATE_TONES = {
  up: "good",
  silent: "bad",
  unknown: "warning",
  away: "bad",
  leaving: "warning",
} as const;
const SERVICE_TONES = {
  "in-service": "good",
  draining: "busy",
  drained: "warning",
  maintenance: "warning",
} as const;

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
    ...(rows.some(({ way }) => way !== null)
      ? [{ key: "way", title: t("boards.way"), cell: ({ way }: BoardRow) => <WayCell way={way} /> }]
      : []),
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
