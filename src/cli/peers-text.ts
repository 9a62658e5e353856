/** What `status` and `locks` print of boards that serve their disks to each other. */

import type { PeerReportResource, PeerResource } from "../api/schemas/peer.ts";
import { countText } from "../common/count-text.ts";

type PeerPath = PeerReportResource["paths"][number];

const latencyText = (ways: readonly PeerPath[]): string => {
  const known = ways.flatMap(({ latency }) => latency ?? []);
  return known.length === 0 ? "" : `, ${(Math.max(...known) * 1000).toFixed(1)} ms`;
};

/** The worst of the ways to a board's disks; nothing where all is well. */
const wayText = (ways: readonly PeerPath[]): string => {
  const bad =
    ways.find(({ state }) => state === "down") ?? ways.find(({ state }) => state !== "up");
  if (ways.length === 0) return "";
  if (bad === undefined) return `, reached${latencyText(ways)}`;
  const word = bad.state === "down" ? "not reached" : bad.state;
  return `, ${word}${bad.last_error === null ? "" : `: ${bad.last_error}`}`;
};

const silenceText = ({ state, silent_for: seconds }: PeerResource): string =>
  state === "silent" ? `not heard of for ${Math.floor(seconds ?? 0)} s` : state;

const boardLine = (peer: PeerResource, { exporter, items, paths }: PeerReportResource): string => {
  const { id, state, here, disks, address } = peer;
  const silence = silenceText(peer);
  const count = countText(disks.length, "disk");
  const closed = exporter?.open === false ? `, serves nobody: ${exporter.reason ?? ""}` : "";
  if (here && address === "")
    return `      ${id} (this board): not in its cluster, ${count}${closed}`;
  if (state === "away" || address === "") return `      ${id}: ${state}, ${count} known`;
  const served = `${count} at ${address}`;
  if (here) {
    return `      ${id} (this board): up, ${served}${closed}`;
  }
  const me = items.find((item) => item.here)?.id;
  const ways = paths.filter(({ node, device_node }) => node === me && device_node === id);
  return `      ${id}: ${silence}, ${served}${wayText(ways)}`;
};

/** The boards, one line each; none of a board that serves no disks. */
export const boardsLines = (report: PeerReportResource): string[] =>
  report.items.length === 0
    ? []
    : ["boards:", ...report.items.map((peer) => boardLine(peer, report))];

/** For whom this board's exports work, and which fences they have seen to. */
export const exporterLines = ({ exporter }: PeerReportResource): string[] => {
  if (exporter === null) return [];
  const { open, reason, sessions, fences } = exporter;
  return [
    `member exports of this board: ${open ? "open" : `closed: ${reason ?? ""}`}`,
    ...sessions.map((one) => {
      const use = `${countText(one.connections, "connection")}, ${one.in_flight} under way`;
      const over = one.waits === null ? "" : `, ${one.waits}`;
      return `  ${one.session} of ${one.node}: ${one.disks.join(" ")}, ${use}${over}`;
    }),
    ...fences.map(
      ({ array, slot, epoch }) =>
        `  fence of slot ${slot} of ${array}, epoch ${epoch}: its requests are waited for`,
    ),
  ];
};
