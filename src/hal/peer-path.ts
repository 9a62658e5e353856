/**
 * Disks of other boards as device paths: `peer:BOARD/DISK`, beside the paths of files and block
 * devices, which begin with `/`. Their device id is `BOARD.DISK`.
 */

/** A disk by its board and its id there. */
export interface PeerDisk {
  readonly board: string;
  readonly disk: string;
}

const PATH = /^peer:([A-Za-z0-9][A-Za-z0-9.-]{0,62})\/([A-Za-z0-9][A-Za-z0-9._-]{0,63})$/;

export const peerPath = ({ board, disk }: PeerDisk): string => `peer:${board}/${disk}`;

/** Null: the path of a file or block device of this board. */
export const parsePeerPath = (path: string): PeerDisk | null => {
  const [, board, disk] = PATH.exec(path) ?? [];
  return board === undefined || disk === undefined ? null : { board, disk };
};

/** The id of the device at the path. */
export const peerDeviceId = ({ board, disk }: PeerDisk): string => `${board}.${disk}`;
