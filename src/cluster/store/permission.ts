/**
 * For how long a committed confirmation permits I/O, and after which time a node that is gone can
 * do none any more. Each clock may be wrong by one part in a hundred.
 */

/** D: from when the confirmation was sent. Choice: some missed confirmations, an election. */
export const PERMIT_MS = 6000;
/** What was submitted in time has reached the members by then. */
const MARGIN_MS = 500;

/** From the moment its last confirmation was seen, or later. */
export const fenceTime = (permitMs: number): number => 1.02 * permitMs + MARGIN_MS;
