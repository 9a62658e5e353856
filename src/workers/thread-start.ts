/**
 * How far the start of an array's thread has come. It may fail at any time, also while nobody waits
 * for its next step just then: I/O workers are opening members meanwhile.
 */
export class ThreadStart<Assembled> {
  readonly #assembled = Promise.withResolvers<Assembled>();
  readonly #running = Promise.withResolvers<null>();

  constructor() {
    const ignore = (): void => undefined;
    this.#assembled.promise.catch(ignore);
    this.#running.promise.catch(ignore);
  }

  get whenAssembled(): Promise<Assembled> {
    return this.#assembled.promise;
  }

  /** Clients may come. */
  get whenRunning(): Promise<unknown> {
    return this.#running.promise;
  }

  assembled(told: Assembled): void {
    this.#assembled.resolve(told);
  }

  running(): void {
    this.#running.resolve(null);
  }

  /** What has not come yet never does. */
  fail(error: Error): void {
    this.#assembled.reject(error);
    this.#running.reject(error);
  }
}
