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
  | "check"
  | "repair"
  | "idle";

export interface StoryPlan {
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

export type StoryName = "power-cut" | "busy" | "members" | "scrub";

export const STORIES: Readonly<Record<StoryName, StoryPlan>> = {
  /** Clients and power cuts; at most one member fails. */
  "power-cut": {
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
};
