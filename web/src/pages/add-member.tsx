/** Add and re-add. */

import { useState } from "preact/hooks";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import { requests } from "../api/api-request.ts";
import { addableDevices } from "../board/array-facts.ts";
import type { Board } from "../board/board.ts";
import { formatBytes } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { CheckField, SelectField } from "../parts/fields.tsx";

const optionOf = (device: DeviceResource) => {
  const size = formatBytes(device.status.size);
  const key = device.status.state === "free" ? "add.option" : "add.option-foreign";
  return { value: device.id, label: t(key, { device: device.name, size }) };
};

/** Adds a device: into an empty raid slot, else as a spare. */
export function AddMember({ array, board }: { array: ArrayResource; board: Board }) {
  const [chosen, setChosen] = useState("");
  const [isForced, setForced] = useState(false);
  const devices = addableDevices(board.devices.values());
  const device = devices.find(({ id }) => id === chosen) ?? devices[0];
  const isForeign = device?.status.state === "foreign";
  const isEmptySlot = array.status.members.some(({ device_id }) => device_id === null);
  const choose = (id: string): void => {
    setChosen(id);
    setForced(false);
  };
  return (
    <ActionDialog
      label={t("action.add")}
      title={t("add.title", { array: array.name })}
      submit={t("action.add")}
      isDangerous={isForeign}
      confirm={isForeign ? (device?.id ?? null) : null}
      request={
        device === undefined || (isForeign && !isForced)
          ? null
          : requests.addMember(array.id, device.id, isForeign)
      }
      done={() => t("done.add", { device: device?.name ?? "", array: array.name })}
      onOpen={() => choose("")}
    >
      {device === undefined ? (
        <p>{t("add.none")}</p>
      ) : (
        <>
          <SelectField
            label={t("add.device")}
            value={device.id}
            onValue={choose}
            options={devices.map(optionOf)}
          />
          <p>{isEmptySlot ? t("add.rebuild") : t("add.spare")}</p>
          {isForeign && <ForeignWarning device={device} />}
          {isForeign && (
            <CheckField isChecked={isForced} onChecked={setForced}>
              {t("confirm.force")}
            </CheckField>
          )}
        </>
      )}
    </ActionDialog>
  );
}

function ForeignWarning({ device }: { device: DeviceResource }) {
  const why = device.status.reasons.map(({ message }) => message).join("; ");
  return <p class="warn">{t("add.foreign", { device: device.name, why })}</p>;
}

/** Takes back a former member by the bitmap. */
export function ReAddMember({ array, device }: { array: ArrayResource; device: string }) {
  return (
    <ActionDialog
      label={t("action.re-add")}
      name={t("action.re-add-of", { device })}
      title={t("re-add.title", { device, array: array.name })}
      submit={t("action.re-add-of", { device })}
      request={requests.reAddMember(array.id, device)}
      done={() => t("done.re-add", { device, array: array.name })}
    >
      <p>{t("re-add.what")}</p>
    </ActionDialog>
  );
}
