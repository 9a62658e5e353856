/** A look at what a path holds, on the main thread: it must not wait for a peer that hangs. */

import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { isPeer } from "./open-store.ts";

/** Opens a path for reading. */
export type ReadStore = (path: string) => Promise<BlockDevice>;

/** A peer that takes longer does not answer, milliseconds. Choice: as a broken connection. */
const PEER_LOOK_MS = 5000;

/**
 * What `look` makes of the store, which is closed again. Errors: of opening and reading it,
 * HAL_NO_ANSWER of a peer.
 */
export const withStore = async <T>(
  path: string,
  open: ReadStore,
  look: (device: BlockDevice) => Promise<T>,
): Promise<T> => {
  if (!isPeer(path)) {
    const device = await open(path);
    try {
      return await look(device);
    } finally {
      await device.close();
    }
  }
  const opened = open(path);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const text = `${path}: no answer for ${PEER_LOOK_MS / 1000} s`;
    late.reject(new CodedError("HAL_NO_ANSWER", text, { remedy: "see to the board's network" }));
  }, PEER_LOOK_MS);
  try {
    return await Promise.race([opened.then(look), late.promise]);
  } finally {
    clearTimeout(timer);
    // Nobody waits for it: it may answer late, or never.
    opened.then((device) => device.close()).catch(() => undefined);
  }
};
