/** One export: state, who is attached, how to attach, delete. */

import { useEffect, useState } from "preact/hooks";
import type { ExportClientResource, ExportResource } from "../../../src/api/schemas/export.ts";
import { requests } from "../api/api-request.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { AttachCommands } from "../parts/attach-commands.tsx";
import { Badge } from "../parts/badge.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { CheckField } from "../parts/fields.tsx";
import { Link } from "../parts/link.tsx";
import { perform } from "../parts/perform.ts";
import { Bytes, TimeAgo } from "../parts/quantities.tsx";
import { arrayPagePath } from "../shell/page-path.ts";

const REFRESH_MS = 2000;

const CLIENT_COLUMNS: readonly Column<ExportClientResource>[] = [
  {
    key: "peer",
    title: t("exports.client"),
    cell: ({ peer, tls }) => (
      <>
        <code>{peer}</code> {tls && <span class="faint">{t("exports.client-tls")}</span>}
      </>
    ),
  },
  {
    key: "connected",
    title: t("exports.connected"),
    cell: ({ connected_at }) => <TimeAgo time={connected_at} />,
  },
  {
    key: "read",
    title: t("exports.read"),
    kind: "number",
    cell: ({ read_bytes }) => <Bytes value={read_bytes} />,
  },
  {
    key: "written",
    title: t("exports.written"),
    kind: "number",
    cell: ({ written_bytes }) => <Bytes value={written_bytes} />,
  },
];

/** The connections; their counters are not part of the event stream, so they are asked for. */
function Clients({ item }: { item: ExportResource }) {
  const [clients, setClients] = useState<readonly ExportClientResource[]>([]);
  useEffect(() => {
    let isWanted = true;
    const read = async (): Promise<void> => {
      const path = item.links["clients"] ?? "";
      const { items } = await perform<{ items: ExportClientResource[] }>({ method: "GET", path });
      if (isWanted) {
        setClients(items);
      }
    };
    const refresh = (): void => void read().catch(() => undefined);
    refresh();
    const timer = window.setInterval(refresh, REFRESH_MS);
    return () => {
      isWanted = false;
      clearInterval(timer);
    };
  }, [item.links, item.status.clients]);
  return (
    <DataTable
      label={t("exports.clients", { count: clients.length })}
      columns={CLIENT_COLUMNS}
      rows={clients}
      rowKey={({ id }) => id}
    />
  );
}

function Delete({ item }: { item: ExportResource }) {
  const [isForced, setForced] = useState(false);
  const { name, status } = item;
  return (
    <ActionDialog
      label={t("export.delete")}
      kind="quiet"
      name={t("export.delete-of", { name })}
      title={t("export.delete-title", { name })}
      submit={t("export.delete-of", { name })}
      isDangerous
      confirm={name}
      request={requests.deleteExport(name, isForced)}
      done={() => t("done.delete-export", { name })}
      onOpen={() => setForced(false)}
    >
      <p>
        {status.clients === 0
          ? t("export.delete-lost-none")
          : t("export.delete-lost", { count: status.clients })}
      </p>
      {status.clients > 0 && (
        <CheckField isChecked={isForced} onChecked={setForced}>
          {t("confirm.force-clients")}
        </CheckField>
      )}
    </ActionDialog>
  );
}

const TONES = { online: "good", offline: "warning", "read-only": "plain" } as const;

/** The export; on a page of its own array (`isAlone` false) the array is not named again. */
export function ExportCard({ item, isAlone }: { item: ExportResource; isAlone: boolean }) {
  const { name, config, status } = item;
  return (
    <article class="export" aria-label={name} data-export={name}>
      <header class="export-head">
        <h3 class="device-name">{name}</h3>
        <Badge word={t(`exports.state.${status.state}`)} tone={TONES[status.state]} />
        {isAlone && (
          <Link to={arrayPagePath(config.array_id)}>
            {t("exports.of", { array: status.array_name ?? config.array_id })}
          </Link>
        )}
        <Bytes value={status.size} />
        <span class="faint">{t("exports.clients", { count: status.clients })}</span>
        {config.tls_required && <span class="faint">{t("exports.tls")}</span>}
        <Delete item={item} />
      </header>
      {config.description !== "" && <p>{config.description}</p>}
      {status.reason !== null && <p class="warn">{status.reason}</p>}
      {status.clients > 0 && <Clients item={item} />}
      <AttachCommands item={item} />
    </article>
  );
}
