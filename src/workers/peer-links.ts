/** The disks of peers that this thread has open, and how its ways to them are. */

import { threadId } from "node:worker_threads";
import { CodedError } from "../common/errors.ts";
import type { PeerLink } from "../control/peer-boards.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { DeviceLayer } from "../hal/layers/device-layer.ts";
import type { PeerSession } from "../peers/member-name.ts";
import type { PeerDevice } from "../peers/peer-device.ts";
import type { PeerTicket, PeerTls } from "../peers/peer-ticket.ts";
import { PeerLivesEar } from "./peer-lives.ts";

/** As whom a thread opens peers' disks. */
export interface PeerUse {
  readonly tls: PeerTls;
  readonly session: PeerSession;
  /** First part of the handles, from `handleOwner`. */
  readonly owner: string;
}

/** Names the board and its start: `NODE.BOOT8`. */
export const handleOwner = (node: string, boot: string): string => `${node}.${boot.slice(0, 8)}`;

/** Those that are open, or were given up by their array and not closed yet. */
const devices = new Map<PeerDevice, PeerTicket>();
let opened = 0;

/** Listed until it is closed. */
class ListedPeer extends DeviceLayer {
  readonly #peer: PeerDevice;
  readonly #onClose: () => void;

  constructor(peer: PeerDevice, ticket: PeerTicket, onClose: () => void) {
    super(peer);
    this.#peer = peer;
    this.#onClose = onClose;
    devices.set(peer, ticket);
  }

  override async close(): Promise<void> {
    devices.delete(this.#peer);
    this.#onClose();
    await this.inner.close();
  }
}

/** Errors: HAL_PEER_GONE, HAL_PEER_NO_SESSION, and those of PeerDevice.open. */
export const openPeer = async (
  path: string,
  ticket: PeerTicket | null,
  mode: "read" | "write",
  use: PeerUse | null,
): Promise<BlockDevice> => {
  if (ticket === null) {
    throw new CodedError("HAL_PEER_GONE", `${path}: no board serves it now`, {
      remedy: "bring its board back; satsuma status lists the boards",
    });
  }
  if (use === null) {
    throw new CodedError("HAL_PEER_NO_SESSION", `${path}: this board may not use it just now`, {
      remedy: "disks of other boards are used by a board in its cluster, for clustered arrays",
    });
  }
  // Loaded by threads that use one alone: it brings TLS with it.
  const client = await import("../peers/peer-device.ts");
  opened += 1;
  const { tls, session, owner } = use;
  const handle = `${owner}.${threadId}.${opened}`;
  const opening = client.PeerDevice.open(ticket, { tls, session, handle }, mode);
  const ear = new PeerLivesEar(owner, ({ name, epoch, what }) => {
    if (name !== ticket.board || epoch < ticket.life) return;
    const leave = (peer: PeerDevice): void =>
      what === "over" ? peer.giveUp(`${name} has left the cluster`) : peer.doubt();
    opening.then(leave, () => undefined);
  });
  let isClosed = false;
  const hearNoMore = (): void => {
    isClosed = true;
    ear.close();
  };
  try {
    const peer = await opening;
    const tell = (): void => {
      if (!isClosed) ear.tellSilent({ name: ticket.board, epoch: ticket.life });
    };
    void peer.silent.then(tell);
    return new ListedPeer(peer, ticket, hearNoMore);
  } catch (error) {
    hearNoMore();
    throw error;
  }
};

/** How the ways to all of them are. */
export const peerLinks = (): readonly PeerLink[] =>
  [...devices].map(([{ health }, { board, disk }]) => ({
    board,
    disk,
    state: health.state,
    latencyMs: health.latencyMs,
    inFlight: health.inFlight + health.waiting,
    reconnects: health.reconnects,
    lastError: health.lastError?.message ?? null,
  }));
