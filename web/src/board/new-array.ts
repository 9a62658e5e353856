/** What a new array may be made of, and what most people want. Pure. */

import type { DeviceResource } from "../../../src/api/schemas/device.ts";
import { addableDevices } from "./array-facts.ts";
import type { Board } from "./board.ts";

/** Source: mdadm --nodes defaults to 4, and so does the board. */
const NODES_DEFAULT = 4;

/** True for a device of the board itself, which any array there may have as a member. */
export const isOwn = ({ system }: Board, { status }: DeviceResource): boolean =>
  status.node === system.node;

/**
 * Devices that the array may take, the board's own first. Other boards' are for a shared array: two
 * boards could run any other one at once.
 */
export function usableDevices(board: Board, isShared: boolean): readonly DeviceResource[] {
  const usable = addableDevices(board.devices.values());
  const own = usable.filter((device) => isOwn(board, device));
  return isShared ? [...own, ...usable.filter((device) => !isOwn(board, device))] : own;
}

const largestFirst = (a: DeviceResource, b: DeviceResource): number =>
  b.status.size - a.status.size;

const isFree = ({ status }: DeviceResource): boolean => status.state === "free";

/** Ids of the two largest of equal size. */
function equalPair(devices: readonly DeviceResource[]): readonly string[] {
  const sorted = [...devices].sort(largestFirst);
  const first = sorted.findIndex(({ status }, at) => status.size === sorted[at + 1]?.status.size);
  return first === -1 ? [] : sorted.slice(first, first + 2).map(({ id }) => id);
}

/** The first pair of two boards that is as large as any: a board that stops takes one copy. */
function pairOfBoards(devices: readonly DeviceResource[]): readonly string[] {
  let best: readonly string[] = [];
  let bestSize = 0;
  for (const [at, first] of devices.entries()) {
    for (const second of devices.slice(at + 1)) {
      const size = Math.min(first.status.size, second.status.size);
      if (first.status.node !== second.status.node && size > bestSize) {
        best = [first.id, second.id];
        bestSize = size;
      }
    }
  }
  return best;
}

/** Two free devices as most people want them: of two boards where boards have their own. */
export function proposedDevices(board: Board, isShared: boolean): readonly string[] {
  const free = usableDevices(board, isShared).filter(isFree);
  const isOfBoards = [...board.devices.values()].some((device) => !isOwn(board, device));
  return isShared && isOfBoards ? pairOfBoards(free) : equalPair(free);
}

/** The first mdN that no array has, here or on a device that is seen. */
export function freeName(board: Board): string {
  const taken = new Set([
    ...[...board.arrays.values()].map(({ name }) => name),
    ...[...board.devices.values()].map(({ status }) => status.superblock?.name),
  ]);
  let number = 0;
  while (taken.has(`md${number}`)) {
    number += 1;
  }
  return `md${number}`;
}

/** What the order has besides: a shared array's bitmap has a slot for every board. */
export function sharingOf(board: Board, isShared: boolean): object {
  if (!isShared) {
    return {};
  }
  const boards = new Set([...board.devices.values()].map(({ status }) => status.node));
  const nodes = boards.size > NODES_DEFAULT ? { nodes: boards.size } : {};
  return { bitmap: "clustered", ...nodes };
}
