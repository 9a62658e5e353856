/** What is told whoever asks something of a node that is out. */
import { CodedError } from "../../common/errors.ts";

/** The error CLUSTER_EXPELLED. */
export const expelled = (): CodedError =>
  new CodedError("CLUSTER_EXPELLED", "the others have gone on without this node", {
    remedy: "see why it could not confirm in time; it joins again with the next start",
  });
