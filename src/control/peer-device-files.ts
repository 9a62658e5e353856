/**
 * The devices of a board that shares disks with its peers: its own files and block devices, and the
 * disks of the boards that live now. A board that ends and comes back serves other devices: what
 * was opened of its life before is lost, whatever it had in its memory.
 */

import type { DeviceFile, DeviceFiles } from "../hal/device-files.ts";
import { parsePeerPath, peerPath } from "../hal/peer-path.ts";
import type { PeerBoards } from "./peer-boards.ts";

const findPeer = (peers: PeerBoards, path: string) => {
  const wanted = parsePeerPath(path);
  const board = peers.boards().find(({ name, isHere }) => name === wanted?.board && !isHere);
  const disk = board?.disks.find(({ id }) => id === wanted?.disk);
  return board === undefined || disk === undefined ? null : { board, disk };
};

const identifyPeer = (peers: PeerBoards, path: string): DeviceFile | null => {
  const found = findPeer(peers, path);
  if (found === null) return null;
  const { board, disk } = found;
  const identity = `peer ${board.name} ${board.epoch} ${disk.id}`;
  return { kind: disk.kind, identity, sizeBytes: disk.sizeBytes, changedAt: 0 };
};

/** `files`: of this board; `peers`: null where it serves no disks, and uses none of theirs. */
export const withPeers = (files: DeviceFiles, peers: PeerBoards | null): DeviceFiles =>
  peers === null ? files : allDevices(files, peers);

const allDevices = (files: DeviceFiles, peers: PeerBoards): DeviceFiles => ({
  identify: async (path) =>
    parsePeerPath(path) === null ? await files.identify(path) : identifyPeer(peers, path),
  listImages: (directory) => files.listImages(directory),
  createImage: (path, sizeBytes) => files.createImage(path, sizeBytes),
  listPeers: () =>
    peers
      .boards()
      .filter(({ isHere }) => !isHere)
      .flatMap(({ name, disks }) => disks.map(({ id }) => peerPath({ board: name, disk: id }))),
  lossOf: (path) => findPeer(peers, path)?.disk.lostContent ?? null,
});
