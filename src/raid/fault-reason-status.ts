/** Why a member is faulty, where another part of the program goes by it. */

/** Told by the superblocks that a node started from. */
export const FAILED_BEFORE = "it failed before this board joined";

/** Told by another node's update. */
export const FAILED_ELSEWHERE = "another node has recorded it as faulty";
