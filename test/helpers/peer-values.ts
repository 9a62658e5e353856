/** Boards that serve their disks to each other, as values. */
import type {
  ExporterGate,
  PeerBoard,
  PeerBoards,
  PeerLink,
} from "../../src/control/peer-boards.ts";

export const DISK = { id: "disk1", kind: "file", sizeBytes: 8, logicalBlockSize: 512 } as const;

export const peerBoard = (name: string, over: Partial<PeerBoard> = {}): PeerBoard => ({
  name,
  epoch: 1,
  isHere: false,
  address: "192.0.2.1:10810",
  api: "",
  version: "0.0.0",
  disks: [DISK],
  reaches: [],
  ...over,
});

/** Boards that a test moves. */
export class FakePeers implements PeerBoards {
  live: readonly PeerBoard[] = [];
  ways: readonly PeerLink[] = [];
  served: Parameters<PeerBoards["serve"]>[0] = [];
  refused: readonly string[] = [];
  open: ExporterGate = { isOpen: true, reason: null, draining: [] };
  readonly #listeners: (() => void)[] = [];

  boards(): readonly PeerBoard[] {
    return this.live;
  }

  links(): readonly PeerLink[] {
    return this.ways;
  }

  gate(): ExporterGate {
    return this.open;
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  serve(disks: Parameters<PeerBoards["serve"]>[0]): void {
    this.served = disks;
  }

  refuse(serials: readonly string[]): void {
    this.refused = serials;
  }

  heard: readonly { readonly name: string; readonly seconds: number }[] = [];

  async report() {
    return { heard: this.heard, sessions: [], fences: [] };
  }
}
