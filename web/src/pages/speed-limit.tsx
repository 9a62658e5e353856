/** Sets the upper limit of an array's syncs. */

import { useState } from "preact/hooks";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import { requests } from "../api/api-request.ts";
import { bytesOf } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { TextField } from "../parts/fields.tsx";

const MIB = 1024 ** 2;

/** Button and dialog. */
export function SpeedLimit({ array }: { array: ArrayResource }) {
  const [typed, setTyped] = useState("");
  const bytes = bytesOf(typed, "MiB");
  return (
    <ActionDialog
      label={t("action.speed")}
      kind="quiet"
      title={t("speed.title", { array: array.name })}
      submit={t("action.speed")}
      request={bytes === null ? null : requests.setSync(array.id, { sync_speed_max: bytes })}
      done={() => t("done.speed", { array: array.name })}
      onOpen={() => setTyped(String(Math.round(array.config.sync_speed_max / MIB)))}
    >
      <p>{t("speed.why")}</p>
      <TextField
        label={`${t("speed.max")} (${t("speed.unit")})`}
        value={typed}
        onValue={setTyped}
        inputMode="decimal"
        {...(bytes === null ? { hint: t("speed.bad") } : {})}
      />
    </ActionDialog>
  );
}
