/** The board as the API shows it. */

import type { ControlPlane } from "../../control/control-plane.ts";
import type { SystemResource } from "../schemas/system.ts";
import { timeText } from "./times.ts";

/** The resource of the board. */
export function systemResource(control: ControlPlane): SystemResource {
  const { options, engine } = control;
  const health = control.health();
  return {
    product: "satsuma",
    version: options.version,
    node: control.nodes.here,
    cluster: engine.cluster,
    lab_mode: options.isLabMode,
    started_at: timeText(control.startedAt),
    time: timeText(options.now()),
    health: {
      state: health.state,
      sentence: health.sentence,
      attention: health.attention.map((item) => ({ ...item })),
    },
    counts: {
      arrays: control.arrays.list().length,
      devices: control.devices.paths().length,
      exports: control.exports.list().length,
      clients: engine.clients().length,
    },
    nbd: {
      tcp: engine.nbd.tcp === null ? null : { ...engine.nbd.tcp },
      socket: engine.nbd.socketPath,
    },
    links: {
      self: "/api/v1/system",
      arrays: "/api/v1/arrays",
      devices: "/api/v1/devices",
      exports: "/api/v1/exports",
      jobs: "/api/v1/jobs",
      events: "/api/v1/events",
      openapi: "/api/v1/openapi.json",
    },
  };
}
