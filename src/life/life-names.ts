/** Which names clusters and boards may have. */
import { CodedError } from "../common/errors.ts";

/** Source: the bitmap superblock's cluster_name, 64 bytes with its NUL. */
const CLUSTER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** Board names are host names. */
const BOARD_NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/;

export const isClusterName = (text: string): boolean => CLUSTER_NAME.test(text);

export const isBoardName = (text: string): boolean => BOARD_NAME.test(text);

/** Errors: LIFE_BAD_NAME. */
export const checkClusterName = (text: string): string => {
  if (isClusterName(text)) return text;
  throw badName(`${text} is no name for a cluster`, "take 1 to 63 of A-Z a-z 0-9 . _ -");
};

/** Errors: LIFE_BAD_NAME. */
export const checkBoardName = (text: string): string => {
  if (isBoardName(text)) return text;
  throw badName(`${text} is no name for a board`, "take 1 to 63 of A-Z a-z 0-9 . -");
};

const badName = (message: string, remedy: string): CodedError =>
  new CodedError("LIFE_BAD_NAME", message, { remedy });
