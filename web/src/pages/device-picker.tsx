/** Chooses devices for a new array: those that can be taken, and why the others cannot. */

import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import { addableDevices } from "../board/array-facts.ts";
import type { Board } from "../board/board.ts";
import { t } from "../messages/translate.ts";
import { Badge, deviceTone } from "../parts/badge.tsx";
import { BoardText } from "../parts/board-text.tsx";
import { Bytes } from "../parts/quantities.tsx";

interface PickerProperties {
  readonly board: Board;
  /** Ids in the order of the raid slots. */
  readonly chosen: readonly string[];
  readonly onChosen: (ids: readonly string[]) => void;
}

function StateOf({ device }: { device: DeviceResource }) {
  const { state, reasons } = device.status;
  return (
    <>
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
export function DevicePicker({ board, chosen, onChosen }: PickerProperties) {
  const usable = addableDevices(board.devices.values());
  const others = [...board.devices.values()].filter((device) => !usable.includes(device));
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
                <StateOf device={device} />
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
                <StateOf device={device} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}
