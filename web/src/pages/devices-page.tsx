/** Every device with its state and the reasons for it; makes file-backed disks. */

import { useState } from "preact/hooks";
import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import { requests } from "../api/api-request.ts";
import type { Board } from "../board/board.ts";
import { t } from "../messages/translate.ts";
import { ActionDialog } from "../parts/action-dialog.tsx";
import { Badge, deviceTone } from "../parts/badge.tsx";
import { BoardText } from "../parts/board-text.tsx";
import { type Column, DataTable } from "../parts/data-table.tsx";
import { TextField } from "../parts/fields.tsx";
import { Link } from "../parts/link.tsx";
import { DiskSize } from "../parts/quantities.tsx";
import { Empty, PageHead } from "../parts/section.tsx";
import { arrayPagePath } from "../shell/page-path.ts";
import { CreateDevice } from "./create-device.tsx";

function Label({ device }: { device: DeviceResource }) {
  const [typed, setTyped] = useState("");
  const label = typed.trim() === "" ? null : typed.trim();
  return (
    <ActionDialog
      label={t("device.label")}
      kind="quiet"
      name={t("device.label-title", { device: device.id })}
      title={t("device.label-title", { device: device.id })}
      submit={t("device.label-save")}
      request={requests.labelDevice(device.id, label)}
      done={() => t("done.label", { device: device.id })}
      onOpen={() => setTyped(device.config.label ?? "")}
    >
      <p>{t("device.label-why")}</p>
      <TextField label={t("device.label")} value={typed} onValue={setTyped} />
    </ActionDialog>
  );
}

function Name({ device }: { device: DeviceResource }) {
  const { kind, path, read_only, logical_block_size } = device.status;
  const facts = [
    t(`devices.kind.${kind}`),
    t("devices.sector", { size: logical_block_size }),
    ...(read_only ? [t("devices.read-only")] : []),
  ];
  return (
    <span class="device-cell" title={facts.join(", ")}>
      <span>
        <span class="device-name">{device.id}</span>
        {device.config.label !== null && <span> {device.config.label}</span>}
        {read_only && <span class="faint"> {t("devices.read-only")}</span>}
      </span>
      <code class="faint breakable">{path}</code>
    </span>
  );
}

function State({ device }: { device: DeviceResource }) {
  const { state, reasons, superblock } = device.status;
  return (
    <div class="states">
      <Badge
        word={t(`device.state.${state}`)}
        tone={deviceTone(state)}
        explain={t(`device.explain.${state}`)}
      />
      {reasons.length === 0 && <span class="faint">{t(`device.explain.${state}`)}</span>}
      {reasons.map(({ code, message }) => (
        <span key={`${code} ${message}`} class="faint">
          <BoardText text={message} />
        </span>
      ))}
      {superblock !== null && state === "foreign" && (
        <span class="faint own-line">
          {t("devices.superblock", {
            level: superblock.level,
            name: superblock.name,
            role: superblock.role,
            events: superblock.events,
          })}
        </span>
      )}
    </div>
  );
}

function UsedBy({ device }: { device: DeviceResource }) {
  const { array_id, array_name, slot } = device.status;
  if (array_id === null) {
    return <span class="faint">{t("common.none")}</span>;
  }
  return (
    <span class="device-cell">
      <Link to={arrayPagePath(array_id)}>{array_name ?? array_id}</Link>
      {slot !== null && <span class="faint">{t("devices.slot", { slot })}</span>}
    </span>
  );
}

const COLUMNS: readonly Column<DeviceResource>[] = [
  {
    key: "device",
    title: t("devices.device"),
    cell: (device) => <Name device={device} />,
  },
  {
    key: "size",
    title: t("devices.size"),
    kind: "number",
    cell: ({ status }) => <DiskSize value={status.size} />,
  },
  { key: "state", title: t("devices.state"), cell: (device) => <State device={device} /> },
  {
    key: "array",
    title: t("devices.used-by"),
    kind: "key",
    cell: (device) => <UsedBy device={device} />,
  },
  {
    key: "actions",
    title: t("common.actions"),
    kind: "actions",
    cell: (device) => <Label device={device} />,
  },
];

const BOARD: Column<DeviceResource> = {
  key: "board",
  title: t("devices.board"),
  kind: "key",
  cell: ({ status }) => <span>{status.node}</span>,
};

/** Whose a device is matters where boards serve their disks to each other. */
const columnsFor = (devices: readonly DeviceResource[]): readonly Column<DeviceResource>[] => {
  const boards = new Set(devices.map(({ status }) => status.node));
  const [device, ...rest] = COLUMNS;
  return boards.size < 2 || device === undefined ? COLUMNS : [device, BOARD, ...rest];
};

/** The page. */
export function DevicesPage({ board }: { board: Board }) {
  const devices = [...board.devices.values()].sort((a, b) => a.id.localeCompare(b.id));
  return (
    <>
      <PageHead title={t("devices.title")} lead={t("devices.lead")} actions={<CreateDevice />} />
      {devices.length === 0 ? (
        <Empty title={t("devices.none")} why={t("devices.none-why")} />
      ) : (
        <div class="panel">
          <DataTable
            label={t("devices.title")}
            columns={columnsFor(devices)}
            rows={devices}
            rowKey={(device) => device.id}
          />
        </div>
      )}
    </>
  );
}
