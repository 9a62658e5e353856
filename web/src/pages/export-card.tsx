/** One export: state, who is attached, how to attach, delete. */

import { useState } from "preact/hooks";
import type { ExportResource } from "../../../src/api/schemas/export.ts";
import { requests } from "../api/api-request.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { AttachCommands } from "../parts/attach-commands.tsx";
import { Badge } from "../parts/badge.tsx";
import { CheckField } from "../parts/fields.tsx";
import { Link } from "../parts/link.tsx";
import { Bytes } from "../parts/quantities.tsx";
import { arrayPagePath } from "../shell/page-path.ts";
import { ClientTable, useClients } from "./export-clients.tsx";

function Delete({ item, clients }: { item: ExportResource; clients: number }) {
  const [isForced, setForced] = useState(false);
  const { name } = item;
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
        {clients === 0 ? t("export.delete-lost-none") : t("export.delete-lost", { count: clients })}
      </p>
      {clients > 0 && (
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
  const clients = useClients(item) ?? [];
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
        <span class="faint">{t("exports.clients", { count: clients.length })}</span>
        {config.tls_required && <span class="faint">{t("exports.tls")}</span>}
        <Delete item={item} clients={clients.length} />
      </header>
      {config.description !== "" && <p>{config.description}</p>}
      {status.reason !== null && <p class="warn">{status.reason}</p>}
      {clients.length > 0 && <ClientTable clients={clients} />}
      {status.state !== "offline" && <AttachCommands item={item} />}
    </article>
  );
}
