/** Makes a file-backed disk. */

import { useState } from "preact/hooks";
import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import { requests } from "../api/api-request.ts";
import { isName } from "../board/name.ts";
import { bytesOf } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { SelectField, TextField } from "../parts/fields.tsx";
import { applyResource } from "../shell/board-store.ts";

const UNITS = ["MiB", "GiB", "TiB"] as const;
const SIZE_MIN = 1024 ** 2;

/** Button and dialog. */
export function CreateDevice({ kind = "main" }: { kind?: "main" | "plain" }) {
  const [name, setName] = useState("");
  const [amount, setAmount] = useState("1");
  const [unit, setUnit] = useState<(typeof UNITS)[number]>("GiB");
  const size = bytesOf(amount, unit);
  const isSize = size !== null && size >= SIZE_MIN;
  const isNameGood = name === "" || isName(name);
  const reset = (): void => {
    setName("");
    setAmount("1");
    setUnit("GiB");
  };
  const done = (reply: unknown): string => {
    const device = reply as DeviceResource;
    applyResource("device", device);
    return t("done.create-device", { device: device.id });
  };
  return (
    <ActionDialog
      label={t("device.create")}
      kind={kind}
      title={t("device.create-title")}
      submit={t("device.create")}
      request={
        isSize && isNameGood ? requests.createDevice(name === "" ? { size } : { name, size }) : null
      }
      done={done}
      onOpen={reset}
    >
      <p>{t("device.create-why")}</p>
      <div class="field-row">
        <TextField
          label={t("device.size")}
          value={amount}
          onValue={setAmount}
          inputMode="decimal"
          {...(isSize ? {} : { hint: t("device.size-bad") })}
        />
        <SelectField
          label={t("device.unit")}
          value={unit}
          onValue={(value) => setUnit(UNITS.find((known) => known === value) ?? "GiB")}
          options={UNITS.map((value) => ({ value, label: value }))}
        />
      </div>
      <TextField
        label={`${t("device.name")} (${t("common.optional")})`}
        value={name}
        onValue={setName}
        placeholder={t("device.name-default")}
        isCode
        {...(isNameGood ? {} : { hint: t("create.name-rule") })}
      />
    </ActionDialog>
  );
}
