/** The calls of a peer's disk as promises: one NBD request for each, reused when it has ended. */

import type { CodedError } from "../common/errors.ts";
import type { AllocationRun } from "../hal/block-device.ts";
import { ClientRequest, type ClientRequestOwner } from "../nbd/client-request.ts";
import { answerError } from "./peer-errors.ts";
import type { PeerLinks } from "./peer-links-driver.ts";

/** Requests kept for later use; more are left to the garbage collector. */
const IDLE_MAX = 256;

/** One request. `pieces`, `target` and `runs`: as ClientRequest has them. */
export interface PeerCall {
  /** For messages: what failed. */
  readonly verb: string;
  readonly command: number;
  readonly flags?: number;
  readonly offset?: number;
  readonly length?: number;
  readonly pieces?: readonly Uint8Array[];
  readonly target?: Uint8Array;
  readonly runs?: AllocationRun[];
}

export class PeerCalls {
  readonly #name: string;
  readonly #links: PeerLinks;
  readonly #idle: Pending[] = [];
  readonly #ended = (pending: Pending): void => this.#onEnded(pending);

  constructor(name: string, links: PeerLinks) {
    this.#name = name;
    this.#links = links;
  }

  /** Errors: HAL_IO_ERROR, HAL_NO_SPACE, HAL_PEER_GONE, and that of `PeerLinks.close`. */
  run(call: PeerCall): Promise<void> {
    const pending = this.#idle.pop() ?? new Pending(this.#ended);
    const promise = new Promise<void>((resolve, reject) => {
      pending.resolve = resolve;
      pending.reject = reject;
    });
    const { request } = pending;
    pending.verb = call.verb;
    request.command = call.command;
    request.flags = call.flags ?? 0;
    request.offset = call.offset ?? 0;
    request.lengthBytes = call.length ?? 0;
    request.target = call.target ?? null;
    request.runs = call.runs ?? null;
    if (call.pieces !== undefined) request.pieces = call.pieces;
    this.#links.submit(request);
    return promise;
  }

  #onEnded(pending: Pending): void {
    const { request, resolve, reject } = pending;
    const error = request.failure ?? this.#errorOf(pending);
    if (request.failure === null) this.#links.answered(request, error);
    request.reset();
    if (this.#idle.length < IDLE_MAX) this.#idle.push(pending);
    if (error === null) resolve();
    else reject(error);
  }

  #errorOf({ request, verb }: Pending): CodedError | null {
    const { errno, said } = request;
    return errno === 0 ? null : answerError(this.#name, verb, errno, said);
  }
}

const nothing = (): void => undefined;

/** A request under way and whoever waits for it. */
class Pending implements ClientRequestOwner {
  readonly request = new ClientRequest(this);
  readonly #ended: (pending: Pending) => void;
  verb = "";
  resolve: () => void = nothing;
  reject: (error: CodedError) => void = nothing;

  constructor(ended: (pending: Pending) => void) {
    this.#ended = ended;
  }

  onAnswered(): void {
    this.#ended(this);
  }
}
