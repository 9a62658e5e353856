/**
 * The connections of one peer's disk. Requests go to the connection with the least under way; what
 * finds no room waits in one queue, first come first served. A connection that breaks is made anew
 * under its own number, and what it had not answered is sent again: the exporter finishes what the
 * old one left before it admits the new one. When that takes too long (`LinkPatience`), or it is
 * refused, nothing is waited for any more: whatever is under way fails, and everything after it.
 *
 * Time is counted in ticks, not by the clock: a thread that stood still itself gives nobody up.
 */

import type { StoreClock } from "../cluster/store/store-clock.ts";
import type { CodedError } from "../common/errors.ts";
import { type Attached, ClientConnect, type ClientTarget } from "../nbd/client-connect-driver.ts";
import { NbdClientConnection } from "../nbd/client-connection-driver.ts";
import { lost, unreachable } from "../nbd/client-errors.ts";
import type { Agreed } from "../nbd/client-handshake.ts";
import { type ClientRequest, ClientRequestQueue } from "../nbd/client-request.ts";
import { LinkPatience, LOOK_MS } from "./link-patience.ts";
import { isFinal, peerError, peerGone, withoutName } from "./peer-errors.ts";
import { HealthFigures, type PeerHealth } from "./peer-health.ts";

/** What another thread found silent answers within this, or is given up here too: 1 to 1.5 s. */
const DOUBT_TICKS = 3;
/** Opening takes no longer: the exporter may have to finish what others left. */
const OPEN_MS = 10_000;
/** Pauses between two attempts to connect. */
const PAUSE_MIN_MS = 50;
const PAUSE_MAX_MS = 1000;

export interface PeerLinksOptions {
  /** Of the device, for messages. */
  readonly name: string;
  readonly clock: StoreClock;
  /** Where the connection of this number, from 0, leads to. */
  readonly target: (connection: number) => ClientTarget;
  /** Whether a new connection leads to what was asked for. Errors: HAL_PEER_UNFIT. */
  readonly check: (agreed: Agreed) => void;
}

interface Link {
  readonly number: number;
  connection: NbdClientConnection | null;
  attempt: ClientConnect | null;
  /** Unanswered when the connection broke; sent first on the new one. */
  unanswered: ClientRequest[];
  readonly patience: LinkPatience;
  pauseMs: number;
  takePauseBack: () => void;
  /** It is being made anew on purpose: nothing is sent on it. */
  isResting: boolean;
}

const nothing = (): void => undefined;

export class PeerLinks {
  readonly #options: PeerLinksOptions;
  readonly #links: Link[] = [];
  readonly #queue = new ClientRequestQueue();
  readonly #figures = new HealthFigures();
  #stopTicking: (() => void) | null = null;
  #gone: CodedError | null = null;
  /** Wait for anything to happen. */
  #waiting: (() => void)[] = [];
  /** Ticks that are left for an answer of any connection; 0: there is no doubt. */
  #doubted = 0;
  readonly #silent = Promise.withResolvers<void>();
  readonly #givenUp = Promise.withResolvers<CodedError>();
  #closed: { readonly error: CodedError; readonly done: PromiseWithResolvers<void> } | null = null;

  private constructor(options: PeerLinksOptions) {
    this.#options = options;
  }

  /**
   * `connections`: how many, by what the first one has agreed on.
   * Errors: HAL_PEER_UNREACHABLE, _UNTRUSTED, _REFUSED, _RESTARTED, _UNFIT.
   */
  static async open(
    options: PeerLinksOptions,
    connections: (agreed: Agreed) => number,
  ): Promise<{ readonly links: PeerLinks; readonly agreed: Agreed }> {
    const links = new PeerLinks(options);
    try {
      const agreed = await links.#openLink();
      while (links.#links.length < connections(agreed)) await links.#openLink();
      return { links, agreed };
    } catch (error) {
      const why = peerError(options.name, error);
      await links.#end(why);
      throw why;
    }
  }

  /** Why every request fails; null: they do not. */
  get gone(): CodedError | null {
    return this.#gone;
  }

  get health(): PeerHealth {
    const all = this.#links;
    const isUp = all.every(({ connection }) => connection !== null);
    const state = isUp ? "up" : "reconnecting";
    return {
      state: this.#gone === null ? state : "gone",
      connections: all.filter(({ connection }) => connection !== null).length,
      inFlight: all.reduce((sum, { connection }) => sum + (connection?.underWay ?? 0), 0),
      waiting: all.reduce((sum, link) => sum + link.unanswered.length, this.#queue.length),
      ...this.#figures.told,
    };
  }

  /** Its owner is told once how the request ended; here already when all is given up. */
  submit(request: ClientRequest): void {
    const ended = this.#gone ?? this.#closed?.error;
    if (ended !== undefined) return fail(request, ended);
    const link = this.#queue.length === 0 ? this.#freest(request.payloadBytes) : null;
    if (link === null) this.#queue.push(request);
    else this.#send(link, request);
    this.#tickOn();
  }

  /** An answer has come to `request`: what waits for room goes on. */
  answered(request: ClientRequest, error: CodedError | null): void {
    this.#figures.answered(this.#options.clock.now() - request.sentAt, error);
    this.#sendQueued();
    this.#wake();
    this.#endWhenIdle();
  }

  /** What the exporter told the newest of its connections; 0: one is missing just now. */
  get sizeBytes(): number {
    return Math.min(...this.#links.map(({ connection }) => connection?.agreed.sizeBytes ?? 0));
  }

  /** Makes each connection anew, one after the other: what it has agreed on holds for its life. */
  async renew(): Promise<void> {
    for (const link of this.#links) await this.#renew(link);
  }

  /** Resolves when it is given up, for whatever reason; not when its owner closes it. */
  get whenGone(): Promise<CodedError> {
    return this.#givenUp.promise;
  }

  /** Resolves when it is given up because nothing answers. */
  get silent(): Promise<void> {
    return this.#silent.promise;
  }

  /**
   * Another thread has given the disk up because nothing answered. What is open here is asked at
   * once, and given up unless an answer comes soon: a call would wait as long again, else.
   */
  doubt(): void {
    if (this.#gone !== null) return;
    for (const { connection } of this.#links) {
      // What was heard before does not count.
      connection?.look();
      connection?.probe();
    }
    this.#doubted = DOUBT_TICKS;
    this.#tickOn();
  }

  /** For good, as if nothing had answered for long. */
  giveUp(why: string): void {
    const { name } = this.#options;
    this.#giveUp(peerError(name, unreachable(name, why)));
  }

  /**
   * What connections carry is waited for while all of them live; what would have to wait for a new
   * connection fails with `error`, and so does everything from then on.
   */
  close(error: CodedError): Promise<void> {
    const done = Promise.withResolvers<void>();
    if (this.#gone !== null) return Promise.resolve();
    this.#closed = { error, done };
    if (this.#links.some(({ connection }) => connection === null)) void this.#end(error);
    else this.#endWhenIdle();
    return done.promise;
  }

  async #openLink(): Promise<Agreed> {
    const { clock, name, target, check } = this.#options;
    const attempt = new ClientConnect(target(this.#links.length));
    const late = unreachable(name, `no answer within ${OPEN_MS / 1000} s`);
    const takeBack = clock.after(OPEN_MS, () => attempt.cancel(late));
    try {
      const attached = await attempt.attached;
      const link: Link = {
        number: this.#links.length,
        connection: null,
        attempt: null,
        unanswered: [],
        patience: new LinkPatience(),
        pauseMs: PAUSE_MIN_MS,
        takePauseBack: nothing,
        isResting: false,
      };
      this.#links.push(link);
      this.#attach(link, attached);
      check(attached.agreed);
      return attached.agreed;
    } finally {
      takeBack();
    }
  }

  #attach(link: Link, attached: Attached): void {
    link.patience.began();
    link.connection = new NbdClientConnection(attached, {
      onEnded: (error, unanswered) => this.#onEnded(link, error, unanswered),
    });
  }

  /** The connection with room that has the least under way. */
  #freest(payloadBytes: number): Link | null {
    let best: Link | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const link of this.#links) {
      const { connection } = link;
      if (connection === null || link.isResting || !connection.hasRoom(payloadBytes)) continue;
      if (connection.load >= least) continue;
      best = link;
      least = connection.load;
    }
    return best;
  }

  #send(link: Link, request: ClientRequest): void {
    request.sentAt = this.#options.clock.now();
    link.connection?.submit(request);
  }

  #sendQueued(): void {
    for (let next = this.#queue.first; next !== null; next = this.#queue.first) {
      const link = this.#freest(next.payloadBytes);
      if (link === null) return;
      this.#queue.shift();
      this.#send(link, next);
    }
  }

  async #renew(link: Link): Promise<void> {
    const { connection } = link;
    // One that is missing is being made anew already.
    if (connection === null || this.#closed !== null) return;
    link.isResting = true;
    while (link.connection === connection && connection.underWay > 0) await this.#change();
    if (link.connection !== connection || this.#closed !== null) return;
    link.connection = null;
    link.patience.broke();
    this.#tickOn();
    await connection.disconnect();
    if (this.#gone === null) this.#reconnect(link);
    while (link.connection === null && this.#gone === null) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    if (this.#waiting.length === 0) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #onEnded(link: Link, error: CodedError, unanswered: ClientRequest[]): void {
    // It may have answered since the last tick, and another one be there at the next.
    if (link.connection?.look() === "heard") this.#heard(link);
    link.connection = null;
    link.isResting = false;
    this.#wake();
    link.unanswered = unanswered;
    if (this.#gone !== null) return;
    const why = peerError(this.#options.name, error);
    this.#figures.note(why);
    if (this.#closed !== null) void this.#end(this.#closed.error);
    else if (isFinal(why)) this.#giveUp(why);
    else this.#onBroken(link);
  }

  /** The first attempt is made at once, unless the connection before gave nothing either. */
  #onBroken(link: Link): void {
    this.#tickOn();
    if (link.patience.isBroken) return this.#reconnectLater(link);
    link.patience.broke();
    this.#reconnect(link);
  }

  #reconnectLater(link: Link): void {
    link.takePauseBack = this.#options.clock.after(link.pauseMs, () => this.#reconnect(link));
    link.pauseMs = Math.min(2 * link.pauseMs, PAUSE_MAX_MS);
  }

  #reconnect(link: Link): void {
    const attempt = new ClientConnect(this.#options.target(link.number));
    link.attempt = attempt;
    attempt.attached.then(
      (attached) => this.#onReconnected(link, attached),
      (error: unknown) => this.#onNotReconnected(link, peerError(this.#options.name, error)),
    );
  }

  #onReconnected(link: Link, attached: Attached): void {
    const { check, name } = this.#options;
    link.attempt = null;
    this.#attach(link, attached);
    if (this.#gone !== null) return void link.connection?.disconnect();
    try {
      check(attached.agreed);
    } catch (error) {
      return this.#giveUp(peerError(name, error));
    }
    if (!link.isResting) this.#figures.reconnected();
    link.isResting = false;
    this.#wake();
    // All of it has room: it had on the connection before.
    for (const request of link.unanswered.splice(0)) this.#send(link, request);
    // Whatever its disk does, an answer shows that it is there.
    link.connection?.probe();
    this.#sendQueued();
  }

  #onNotReconnected(link: Link, why: CodedError): void {
    if (link.attempt?.look() === true) link.patience.spoke();
    link.attempt = null;
    if (this.#gone !== null) return;
    this.#figures.note(why);
    if (isFinal(why)) this.#giveUp(why);
    else this.#reconnectLater(link);
  }

  #giveUp(why: CodedError): void {
    this.#figures.note(why);
    const error = peerGone(this.#options.name, why);
    void this.#end(error);
    this.#givenUp.resolve(error);
  }

  #endWhenIdle(): void {
    if (this.#closed === null || this.#queue.length > 0) return;
    const isBusy = this.#links.some(({ connection }) => connection?.underWay !== 0);
    if (!isBusy) void this.#end(this.#closed.error);
  }

  /** Nothing is waited for any more: all requests fail with `error`, now and later. */
  async #end(error: CodedError): Promise<void> {
    if (this.#gone !== null) return;
    this.#gone = error;
    this.#stopTicking?.();
    this.#wake();
    const ends = this.#links.map((link) => this.#endLink(link, error));
    for (let next = this.#queue.shift(); next !== null; next = this.#queue.shift())
      fail(next, error);
    await Promise.all(ends);
    this.#closed?.done.resolve();
  }

  async #endLink(link: Link, error: CodedError): Promise<void> {
    const { connection, attempt, takePauseBack } = link;
    takePauseBack();
    attempt?.cancel(error);
    const isIdle = connection?.underWay === 0;
    if (!isIdle) connection?.cut(error);
    for (const request of link.unanswered.splice(0)) fail(request, error);
    if (isIdle) await connection.disconnect();
  }

  #tickOn(): void {
    this.#stopTicking ??= this.#options.clock.after(LOOK_MS, () => this.#tick());
  }

  #tick(): void {
    this.#stopTicking = null;
    for (const link of this.#links) if (this.#gone === null) this.#look(link);
    if (this.#doubted > 0 && --this.#doubted === 0) this.#giveUpDoubted();
    const isIdle = this.#links.every(({ connection }) => connection?.underWay === 0);
    if ((!isIdle || this.#doubted > 0) && this.#gone === null) this.#tickOn();
  }

  #look(link: Link): void {
    const { connection, attempt, patience } = link;
    const look = connection?.look() ?? "silent";
    if (look === "fresh") return;
    if (look !== "silent") return this.#heard(link, look === "heard");
    if (attempt?.look() === true) patience.spoke();
    const verdict = patience.look(connection !== null);
    if (verdict === "give-up") this.#giveUpSilent(patience.seconds);
    else if (verdict === "ask") connection?.probe();
    else if (verdict === "cut")
      connection?.cut(lost(this.#options.name, "it does not answer any more"));
  }

  /** `isAnswer`: something has come; else nothing is awaited. */
  #heard(link: Link, isAnswer = true): void {
    if (isAnswer) this.#doubted = 0;
    link.patience.heard();
    link.pauseMs = PAUSE_MIN_MS;
  }

  #giveUpDoubted(): void {
    const seconds = Math.max(...this.#links.map(({ patience }) => patience.seconds));
    this.#giveUpSilent(Math.max(seconds, (DOUBT_TICKS * LOOK_MS) / 1000));
  }

  #giveUpSilent(seconds: number): void {
    if (this.#gone !== null) return;
    const { name } = this.#options;
    const last = this.#figures.told.lastError?.message ?? "it does not answer";
    const why = `no answer for ${seconds} s: ${withoutName(name, last)}`;
    this.#giveUp(peerError(name, unreachable(name, why)));
    this.#silent.resolve();
  }
}

const fail = (request: ClientRequest, error: CodedError): void => {
  request.failure = error;
  request.owner.onAnswered(request);
};
