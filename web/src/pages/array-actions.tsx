/** What can be done with an array as a whole. */

import { useState } from "preact/hooks";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { requests } from "../api/api-request.ts";
import { canAssemble } from "../board/array-facts.ts";
import { t } from "../messages/translate.ts";
import { ActionButton } from "../parts/action-button.tsx";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { CheckField } from "../parts/fields.tsx";
import { board, refreshExports } from "../shell/board-store.ts";
import { session } from "../shell/session.ts";

function Repair({ array }: { array: ArrayResource }) {
  return (
    <ActionDialog
      label={t("action.repair")}
      title={t("repair.title", { array: array.name })}
      submit={t("action.repair")}
      isDangerous
      confirm={array.name}
      request={requests.setSync(array.id, { action: "repair" })}
      done={() => t("done.repair", { array: array.name })}
    >
      <p>{t("repair.lost")}</p>
    </ActionDialog>
  );
}

const clientsOf = (array: ArrayResource): number =>
  [...(board.value?.exports.values() ?? [])]
    .filter(({ config }) => config.array_id === array.id)
    .reduce((sum, { status }) => sum + status.clients, 0);

function Stop({ array }: { array: ArrayResource }) {
  const [isForced, setForced] = useState(false);
  const clients = clientsOf(array);
  const open = (): void => {
    setForced(false);
    if (session.value !== null) {
      // Without an answer the board still refuses while clients are attached.
      refreshExports(session.value).catch(() => undefined);
    }
  };
  return (
    <ActionDialog
      label={t("action.stop")}
      title={t("stop.title", { array: array.name })}
      submit={t("action.stop")}
      isDangerous
      confirm={array.name}
      request={requests.stopArray(array.id, array.name, isForced)}
      done={() => t("done.stop", { array: array.name })}
      onOpen={open}
    >
      <p>{clients === 0 ? t("stop.lost-none") : t("stop.lost", { count: clients })}</p>
      <p class="faint">{t("stop.checked")}</p>
      {clients > 0 && (
        <CheckField isChecked={isForced} onChecked={setForced}>
          {t("confirm.force-clients")}
        </CheckField>
      )}
    </ActionDialog>
  );
}

/** The buttons. */
export function ArrayActions({ array }: { array: ArrayResource }) {
  if (canAssemble(array)) {
    return (
      <ActionButton
        label={t("action.assemble")}
        request={requests.assembleArray(array.id)}
        done={t("done.assemble", { array: array.name })}
      />
    );
  }
  return (
    <>
      {array.status.sync === null && (
        <>
          <ActionButton
            label={t("action.check")}
            hint={t("action.check-why")}
            request={requests.setSync(array.id, { action: "check" })}
            done={t("done.check", { array: array.name })}
          />
          <Repair array={array} />
        </>
      )}
      <Stop array={array} />
    </>
  );
}
