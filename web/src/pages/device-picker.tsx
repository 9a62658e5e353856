/** Chooses devices for a new array: those that can be taken, and why the others cannot. */

import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import type { Board } from "../board/board.ts";
import { isOwn, usableDevices } from "../board/new-array.ts";
import { t } from "../messages/translate.ts";
import { Badge, deviceTone } from "../parts/badge.tsx";
import { BoardText } from "../parts/board-text.tsx";
import { Bytes } from "../parts/quantities.tsx";

interface PickerProperties {
  readonly board: Board;
  /** The array is for all boards of the cluster: it may have disks of others. */
  readonly isShared: boolean;
  /** Ids in the order of the raid slots. */
  readonly chosen: readonly string[];
  readonly onChosen: (ids: readonly string[]) => void;
}

/** Whose it is, where other boards' devices are shown too. */
function StateOf({ board, device }: { board: Board; device: DeviceResource }) {
  const { state, reasons, node } = device.status;
  return (
    <>
      {!isOwn(board, device) && <span class="faint">{t("create.of-board", { node })}</span>}
      <Badge word={t(`device.state.${state}`)} tone={deviceTone(state)} />
      {reasons.map(({ message }) => (
        <span key={message} class="faint">
          <BoardText text={message} />
        </span>
      ))}
    </>
  );
}

/** The list with check boxes. */
export function DevicePicker({ board, isShared, chosen, onChosen }: PickerProperties) {
  const usable = usableDevices(board, isShared);
  const others = [...board.devices.values()].filter(
    (device) => !usable.includes(device) && (isShared || isOwn(board, device)),
  );
  const toggle = (id: string): void =>
    onChosen(chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id]);
  return (
    <>
      {usable.length === 0 && <p>{t("create.devices-none")}</p>}
      <ul class="picker">
        {usable.map((device) => {
          const isChosen = chosen.includes(device.id);
          const isForeign = device.status.state === "foreign";
          return (
            <li key={device.id} data-device={device.id}>
              <label class="check">
                <input type="checkbox" checked={isChosen} onChange={() => toggle(device.id)} />
                <span class="device-name">{device.name}</span>
                <Bytes value={device.status.size} />
                <StateOf board={board} device={device} />
                {isForeign && isChosen && <span class="warn">{t("create.foreign")}</span>}
              </label>
            </li>
          );
        })}
      </ul>
      {others.length > 0 && (
        <details>
          <summary>{t("create.other")}</summary>
          <ul class="picker">
            {others.map((device) => (
              <li key={device.id}>
                <span class="device-name">{device.name}</span>
                <Bytes value={device.status.size} />
                <StateOf board={board} device={device} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}
