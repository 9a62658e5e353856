/**
 * What an impact answer cannot judge. Nothing is called safe that is not known: a disk that is not
 * here now, and any copy of an array that does not run here, may be the last one. Pure.
 */

import { bareUuid } from "../common/bare-uuid.ts";
import type {
  ImpactArray,
  ImpactDevice,
  ImpactFacts,
  ImpactSubject,
  Unknowns,
} from "./impact-types.ts";
import { copiesNow } from "./survival.ts";

const NONE: Unknowns = { idle: [], copyless: [], unread: [] };

const namesOf = (named: readonly { readonly name: string }[]): readonly string[] => [
  ...new Set(named.map(({ name }) => name)),
];

/** It has failed: the copy that brings it back may be on a disk that it does not use. */
const isCopyless = ({ status }: ImpactArray): boolean => copiesNow(status) === 0;

const holderOf = ({ arrays }: ImpactFacts, path: string): ImpactArray | undefined =>
  arrays.find(({ status }) => status.members.some((member) => member.path === path));

/** An array that the device names and that does not run here, though no record may tell of it. */
const strangeOf = ({ arrays, idle }: ImpactFacts, { holds }: ImpactDevice) =>
  holds === null || holds === "no array" || arrays.some(({ uuid }) => uuid === holds.uuid)
    ? []
    : [idle.find(({ uuid }) => uuid === holds.uuid) ?? holds];

const unreadDevice = (facts: ImpactFacts, name: string, device: ImpactDevice | undefined) => {
  const isOwn = device !== undefined && facts.boardOf(device.path) === facts.here;
  // All arrays that could have it run here, without it.
  const isUnused = isOwn && device.isThere && facts.isAlone && facts.idle.length === 0;
  return isUnused ? NONE : { ...NONE, idle: namesOf(facts.idle), unread: [name] };
};

const deviceUnknowns = (facts: ImpactFacts, name: string, path: string): Unknowns => {
  const array = holderOf(facts, path);
  if (array !== undefined) return { ...NONE, copyless: namesOf([array].filter(isCopyless)) };
  const device = facts.devices.find((one) => one.path === path);
  if (device === undefined || device.holds === null) return unreadDevice(facts, name, device);
  const { holds } = device;
  const listed = facts.idle.filter(({ memberPaths }) => memberPaths.includes(path));
  const named = facts.arrays.filter(({ uuid }) => holds !== "no array" && holds.uuid === uuid);
  return {
    idle: namesOf([...strangeOf(facts, device), ...listed]),
    copyless: namesOf(named.filter(isCopyless)),
    unread: [],
  };
};

const boardUnknowns = (facts: ImpactFacts, name: string): Unknowns => {
  const { here, away, arrays, idle, devices, served, abandoned, boardOf } = facts;
  const disks = devices.filter(({ path }) => (boardOf(path) ?? name) === name);
  const strange = disks
    .flatMap((device) => strangeOf(facts, device))
    .filter(({ uuid }) => !abandoned.includes(uuid));
  // What nobody runs on this board's own disks stops with no board.
  const others =
    name === here ? strange.filter(({ uuid }) => served.includes(bareUuid(uuid))) : strange;
  const unread = disks.filter(
    ({ path, holds }) =>
      name !== here &&
      boardOf(path) !== null &&
      holds === null &&
      holderOf(facts, path) === undefined,
  );
  return {
    idle: namesOf([...idle.filter(({ isClustered }) => isClustered), ...others]),
    copyless: namesOf(arrays.filter(isCopyless)),
    // A disk that nothing names is forgotten with its board.
    unread: away.includes(name) && disks.length === 0 ? [`any disk of ${name}`] : namesOf(unread),
  };
};

/** What cannot be judged of `subject`; nothing at all: whatever the answer is, it is known. */
export function unknownsOf(facts: ImpactFacts, subject: ImpactSubject): Unknowns {
  return subject.kind === "board"
    ? boardUnknowns(facts, subject.name)
    : deviceUnknowns(facts, subject.name, subject.path);
}
