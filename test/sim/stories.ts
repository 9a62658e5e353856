/** The kinds of stories the simulation tells: who takes part, and how often what happens. */

export type Move =
  | "write"
  | "read"
  | "flush"
  | "tick"
  | "long tick"
  | "busy ticks"
  | "one fault"
  | "fault"
  | "heal"
  | "fail"
  | "remove"
  | "add"
  | "re-add"
  | "replace"
  | "check"
  | "repair"
  | "idle";

export interface StoryPlan {
  /** Layouts it is told with; `raid1` or raid10's words. */
  readonly layouts: readonly string[];
  readonly legsMax: number;
  /** Media that hold nothing yet, for `add`. */
  readonly blankMax: number;
  readonly livesMax: number;
  readonly stepsMax: number;
  /** Media may be missing at a start, and come back at a later one. */
  readonly mediaGoAway: boolean;
  /** Share of each move in percent; the rest are turns of the scheduler. */
  readonly moves: readonly (readonly [Move, number])[];
}

export type StoryName = "power-cut" | "busy" | "members" | "scrub" | "raid10" | "replace";

export const STORIES: Readonly<Record<StoryName, StoryPlan>> = {
  /** Clients and power cuts; at most one member fails. */
  "power-cut": {
    layouts: ["raid1"],
    legsMax: 3,
    blankMax: 0,
    livesMax: 3,
    stepsMax: 150,
    mediaGoAway: false,
    moves: [
      ["write", 18],
      ["flush", 5],
      ["read", 4],
      ["tick", 6],
      ["long tick", 2],
      ["one fault", 1],
    ],
  },
  /** An array that never rests: bits are cleared while others are set. */
  busy: {
    layouts: ["raid1"],
    legsMax: 3,
    blankMax: 0,
    livesMax: 3,
    stepsMax: 150,
    mediaGoAway: false,
    moves: [
      ["write", 14],
      ["flush", 2],
      ["read", 4],
      ["busy ticks", 4],
      ["tick", 3],
      ["one fault", 1],
    ],
  },
  /** Members fail, leave, come back and are replaced all the time. */
  members: {
    layouts: ["raid1"],
    legsMax: 4,
    blankMax: 2,
    livesMax: 4,
    stepsMax: 300,
    mediaGoAway: true,
    moves: [
      ["write", 14],
      ["flush", 3],
      ["read", 4],
      ["tick", 8],
      ["long tick", 2],
      ["fault", 1],
      ["heal", 1],
      ["fail", 1],
      ["remove", 2],
      ["add", 1],
      ["re-add", 2],
      ["check", 1],
    ],
  },
  /** Check and repair under load, and members that cannot read everywhere. */
  scrub: {
    layouts: ["raid1"],
    legsMax: 3,
    blankMax: 1,
    livesMax: 3,
    stepsMax: 300,
    mediaGoAway: false,
    moves: [
      ["write", 14],
      ["flush", 3],
      ["read", 6],
      ["tick", 8],
      ["long tick", 2],
      ["fault", 1],
      ["heal", 1],
      ["check", 2],
      ["repair", 2],
      ["idle", 1],
    ],
  },
  /** Every layout of raid10, members that come and go, power cuts. */
  raid10: {
    layouts: ["n2", "n3", "f2", "f3", "o2", "o3"],
    legsMax: 5,
    blankMax: 2,
    livesMax: 3,
    stepsMax: 250,
    mediaGoAway: true,
    moves: [
      ["write", 16],
      ["flush", 4],
      ["read", 5],
      ["tick", 8],
      ["long tick", 2],
      ["fault", 1],
      ["heal", 1],
      ["fail", 1],
      ["remove", 1],
      ["add", 1],
      ["re-add", 2],
      ["check", 1],
      ["replace", 1],
    ],
  },
  /** Members are replaced while others fail, and what cannot be written is noted. */
  replace: {
    layouts: ["raid1", "raid1", "n2", "o2"],
    legsMax: 4,
    blankMax: 3,
    livesMax: 4,
    stepsMax: 300,
    mediaGoAway: true,
    moves: [
      ["write", 16],
      ["flush", 3],
      ["read", 5],
      ["tick", 10],
      ["long tick", 2],
      ["fault", 1],
      ["heal", 1],
      ["fail", 1],
      ["remove", 1],
      ["add", 3],
      ["replace", 3],
      ["re-add", 1],
      ["repair", 1],
    ],
  },
};
