/** Add and re-add. */

import { useState } from "preact/hooks";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { ProblemDocument } from "../../../src/api/schemas/common.ts";
import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import { requests } from "../api/api-request.ts";
import type { Board } from "../board/board.ts";
import { usableDevices } from "../board/new-array.ts";
import { formatBytes } from "../format/quantity.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { CheckField, SelectField } from "../parts/fields.tsx";

const optionOf = (device: DeviceResource) => {
  const size = formatBytes(device.status.size);
  const key = device.status.state === "free" ? "add.option" : "add.option-foreign";
  return { value: device.id, label: t(key, { device: device.name, size }) };
};

const RAN_APART = "CONTROL_MEMBER_RAN_APART";

/** What a device alone holds, as the board tells when it refuses to overwrite it; null: nothing. */
function useApart() {
  const [apart, setApart] = useState<string | null>(null);
  const [isForced, setForced] = useState(false);
  const reset = (): void => {
    setApart(null);
    setForced(false);
  };
  const onProblem = ({ code, detail }: ProblemDocument): void => {
    if (code === RAN_APART) setApart(detail);
  };
  return { apart, isForced, setForced, reset, onProblem };
}

interface LossProperties {
  readonly isForced: boolean;
  readonly onForced: (isForced: boolean) => void;
  readonly children: string;
}

/** What will be lost, and the box without which nothing is done. */
function LossWarning({ isForced, onForced, children }: LossProperties) {
  return (
    <>
      <p class="warn">{children}</p>
      <CheckField isChecked={isForced} onChecked={onForced}>
        {t("confirm.force")}
      </CheckField>
    </>
  );
}

const foreignText = ({ name, status }: DeviceResource): string =>
  t("add.foreign", { device: name, why: status.reasons.map(({ message }) => message).join("; ") });

/** Adds a device: into an empty raid slot, else as a spare. */
export function AddMember({ array, board }: { array: ArrayResource; board: Board }) {
  const [chosen, setChosen] = useState("");
  const { apart, isForced, setForced, reset, onProblem } = useApart();
  const devices = usableDevices(board, array.config.bitmap.type === "clustered");
  const device = devices.find(({ id }) => id === chosen) ?? devices[0];
  const isForeign = device?.status.state === "foreign";
  const isLost = isForeign || apart !== null;
  const isEmptySlot = array.status.members.some(({ device_id }) => device_id === null);
  const choose = (id: string): void => {
    setChosen(id);
    reset();
  };
  return (
    <ActionDialog
      label={t("action.add")}
      title={t("add.title", { array: array.name })}
      submit={t("action.add")}
      isDangerous={isLost}
      confirm={isLost ? (device?.id ?? null) : null}
      request={
        device === undefined || (isLost && !isForced)
          ? null
          : requests.addMember(array.id, device.id, isLost)
      }
      done={() => t("done.add", { device: device?.name ?? "", array: array.name })}
      onOpen={() => choose("")}
      onProblem={onProblem}
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
          {isLost && (
            <LossWarning isForced={isForced} onForced={setForced}>
              {apart ?? foreignText(device)}
            </LossWarning>
          )}
        </>
      )}
    </ActionDialog>
  );
}

/** Takes back a former member by the bitmap; what it alone holds only when that is confirmed. */
export function ReAddMember({ array, device }: { array: ArrayResource; device: string }) {
  const { apart, isForced, setForced, reset, onProblem } = useApart();
  const isLost = apart !== null;
  return (
    <ActionDialog
      label={t("action.re-add")}
      name={t("action.re-add-of", { device })}
      title={t("re-add.title", { device, array: array.name })}
      submit={t("action.re-add-of", { device })}
      isDangerous={isLost}
      confirm={isLost ? device : null}
      request={isLost && !isForced ? null : requests.reAddMember(array.id, device, isLost)}
      done={() => t("done.re-add", { device, array: array.name })}
      onOpen={reset}
      onProblem={onProblem}
    >
      <p>{t("re-add.what")}</p>
      {isLost && (
        <LossWarning isForced={isForced} onForced={setForced}>
          {apart}
        </LossWarning>
      )}
    </ActionDialog>
  );
}
