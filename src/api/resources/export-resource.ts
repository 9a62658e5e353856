/** Exports, their clients and the commands to attach them, as the API shows them. */

import type { ControlPlane } from "../../control/control-plane.ts";
import type { ExportClient } from "../../control/engine.ts";
import type { ExportView } from "../../control/export-service.ts";
import type { Elsewhere } from "../../control/node-service.ts";
import { subjectOf } from "../../control/subject.ts";
import type { AttachResource, ExportClientResource, ExportResource } from "../schemas/export.ts";
import { timeText } from "./times.ts";

/** URIs of an export, by transport. Source: NBD protocol doc/uri.md. */
export function exportUris(control: ControlPlane, view: ExportView): AttachResource["uris"] {
  const { tcp, socketPath } = control.engine.nbd;
  const name = encodeURIComponent(view.record.name);
  const host = tcp === null ? "" : reachableHost(control, tcp.host);
  const secure = view.record.tlsRequired ? "s" : "";
  return {
    unix:
      socketPath === null
        ? null
        : `nbd${secure}+unix:///${name}?socket=${encodeURIComponent(socketPath).replaceAll("%2F", "/")}`,
    tcp: tcp === null ? null : `nbd${secure}://${hostText(host)}:${tcp.port}/${name}`,
  };
}

/** URIs of the export on other boards; they need not have an export of this name. */
export function urisElsewhere(
  { record }: ExportView,
  places: readonly Elsewhere[],
): AttachResource["elsewhere"] {
  const scheme = record.tlsRequired ? "nbds" : "nbd";
  const name = encodeURIComponent(record.name);
  return places.map(({ board, address }) => ({ board, uri: `${scheme}://${address}/${name}` }));
}

/** The resource of an export. */
export function exportResource(control: ControlPlane, view: ExportView): ExportResource {
  const { record } = view;
  const self = subjectOf("export", record.name);
  return {
    id: record.name,
    name: record.name,
    config: {
      protocol: "nbd",
      array_id: record.arrayUuid,
      description: record.description,
      read_only: record.readOnly,
      tls_required: record.tlsRequired,
    },
    status: {
      state: !view.isOpen ? "offline" : record.readOnly ? "read-only" : "online",
      reason: view.reason,
      array_name: view.array?.record.name ?? null,
      size: view.array?.status?.sizeBytes ?? 0,
      clients: view.clients.length,
      uris: exportUris(control, view),
    },
    links: {
      self,
      array: subjectOf("array", record.arrayUuid),
      clients: `${self}/clients`,
      attach: `${self}/attach`,
    },
    created_at: timeText(record.createdAt),
    updated_at: timeText(record.updatedAt),
  };
}

/** The resource of one attached client. */
export function clientResource(client: ExportClient): ExportClientResource {
  return {
    id: client.id,
    peer: client.peer,
    tls: client.tls,
    connected_at: timeText(client.connectedAt),
    read_bytes: client.readBytes,
    written_bytes: client.writtenBytes,
  };
}

/** What to call the host: the board's name where it listens on every interface. */
export function reachableHost(control: ControlPlane, host: string): string {
  return host === "0.0.0.0" || host === "::" ? control.options.hostName : host;
}

/** A host in a URI: IPv6 addresses in brackets. */
function hostText(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
