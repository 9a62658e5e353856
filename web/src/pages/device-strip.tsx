/** The devices on the overview: each with its state and where it is used. */

import type { Board } from "../board/board.ts";
import { t } from "../messages/translate.ts";
import { Badge, deviceTone } from "../parts/badge.tsx";
import { Link } from "../parts/link.tsx";
import { DiskSize } from "../parts/quantities.tsx";
import { Section } from "../parts/section.tsx";

/** The list. */
export function DeviceStrip({ board }: { board: Board }) {
  const devices = [...board.devices.values()].sort((a, b) => a.id.localeCompare(b.id));
  return (
    <Section
      title={t("overview.devices")}
      actions={<Link to="/devices">{t("overview.devices-all")}</Link>}
    >
      {devices.length === 0 ? (
        <p class="faint">{t("devices.none-why")}</p>
      ) : (
        <ul class="device-strip">
          {devices.map(({ id, name, status }) => (
            <li key={id} data-device={id}>
              <span class="device-name">{name}</span>
              <DiskSize value={status.size} />
              <Badge
                word={t(`device.state.${status.state}`)}
                tone={deviceTone(status.state)}
                explain={t(`device.explain.${status.state}`)}
              />
              <span class="faint">{status.array_name ?? ""}</span>
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}
