/** The boards that serve their disks to each other, as the API shows them. */

import type { ControlPlane } from "../../control/control-plane.ts";
import { hearing } from "../../control/hearing.ts";
import {
  type ExporterReport,
  type PeerBoard,
  type PeerBoards,
  secondsSince,
} from "../../control/peer-boards.ts";
import { type PathView, visibility } from "../../control/visibility.ts";
import type { PeerReportResource, PeerResource } from "../schemas/peer.ts";

const seconds = (ms: number | null): number | null =>
  ms === null ? null : Math.round(ms * 1000) / 1_000_000;

/** The id under which a disk is a device of this board. */
const deviceIdOf = (control: ControlPlane, board: PeerBoard, disk: string): string => {
  if (board.isHere) return disk;
  const device = control.devices
    .list()
    .find(({ board: of, record }) => of === board.name && record.path.endsWith(`/${disk}`));
  return device?.record.id ?? `${board.name}.${disk}`;
};

const peerResource = (
  control: ControlPlane,
  board: PeerBoard,
  silentFor: number | null,
): PeerResource => ({
  id: board.name,
  state: hearing(silentFor),
  silent_for: silentFor,
  here: board.isHere,
  epoch: board.epoch,
  address: board.address,
  api: board.api,
  version: board.version,
  disks: board.disks.map(({ id, kind, sizeBytes }) => ({
    id,
    device_id: deviceIdOf(control, board, id),
    kind,
    size: sizeBytes,
  })),
  reaches: [...board.reaches],
});

const NOT_LIVE = {
  silent_for: null,
  here: false,
  epoch: null,
  address: "",
  api: "",
  version: "",
  reaches: [],
};

/** This board, where it does not live at the store. */
const loneResources = (control: ControlPlane, live: readonly PeerBoard[]): PeerResource[] =>
  live.some(({ isHere }) => isHere)
    ? []
    : [
        {
          ...NOT_LIVE,
          id: control.nodes.here,
          state: "unknown",
          here: true,
          disks: control.devices.list().flatMap(({ board, record, file, probe }) =>
            board === null && file !== null
              ? [
                  {
                    id: record.id,
                    device_id: record.id,
                    kind: file.kind === "block" ? ("block" as const) : ("file" as const),
                    size: probe?.sizeBytes ?? 0,
                  },
                ]
              : [],
          ),
        },
      ];

/**
 * Boards of the cluster whose disks are devices here, and that do not live now, as far as is known:
 * a board that is cut off itself hears of nobody.
 */
const awayResources = (
  control: ControlPlane,
  live: readonly PeerBoard[],
  isHearing: boolean,
): PeerResource[] => {
  const devices = control.devices.list().filter(({ board }) => board !== null);
  const names = new Set(devices.flatMap(({ board }) => board ?? []));
  return [...names]
    .filter((name) => !live.some((board) => board.name === name) && control.life.hasBoard(name))
    .map((name) => ({
      ...NOT_LIVE,
      id: name,
      state: isHearing ? ("away" as const) : ("unknown" as const),
      disks: devices
        .filter(({ board }) => board === name)
        .map(({ record, probe }) => ({
          id: record.path.slice(record.path.lastIndexOf("/") + 1),
          device_id: record.id,
          kind: "file" as const,
          size: probe?.sizeBytes ?? 0,
        })),
    }));
};

const pathResource = (path: PathView): PeerReportResource["paths"][number] => ({
  node: path.board,
  device_node: path.owner,
  disk: path.disk,
  state: path.state,
  latency: seconds(path.latencyMs),
  in_flight: path.inFlight,
  reconnects: path.reconnects,
  last_error: path.lastError,
});

const exporterResource = (
  peers: PeerBoards,
  { sessions, fences }: ExporterReport,
): PeerReportResource["exporter"] => ({
  open: peers.gate().isOpen,
  reason: peers.gate().reason,
  sessions: sessions.map((session) => ({
    session: session.session,
    node: session.board,
    disks: [...session.disks],
    connections: session.connections,
    in_flight: session.inFlight,
    waits: session.waits,
  })),
  fences: fences.map(({ arrayUuid, slot, epoch }) => ({ array: arrayUuid, slot, epoch })),
});

/** The boards, and how the ways between them are. */
export async function peerReportResource(control: ControlPlane): Promise<PeerReportResource> {
  const { peers, cluster } = control.engine;
  const links = {
    self: "/api/v1/peers",
    nodes: "/api/v1/nodes",
    devices: "/api/v1/devices",
    dlm: "/api/v1/dlm",
  };
  if (peers === null) return { cluster, exporter: null, items: [], paths: [], links };
  const boards = peers.boards();
  const report = await peers.report();
  const gate = peers.gate();
  const items = [
    ...boards.map((board) =>
      peerResource(control, board, board.isHere ? 0 : secondsSince(report, gate, board.name)),
    ),
    ...loneResources(control, boards),
    ...awayResources(control, boards, gate.isOpen),
  ];
  return {
    cluster,
    exporter: exporterResource(peers, report),
    items: items.sort((a, b) => a.id.localeCompare(b.id)),
    paths: visibility(boards, peers.links()).map(pathResource),
    links,
  };
}
