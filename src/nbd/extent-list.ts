/** Extents as they are gathered for one answer. */
import type { BlockExtent } from "./export-backend.ts";

/** Extents one after the other, neighbours of the same flags made one, as many as are wanted. */
export class ExtentList {
  readonly #extentsMax: number;
  readonly #list: { lengthBytes: number; readonly flags: number }[] = [];

  constructor(extentsMax: number) {
    this.#extentsMax = extentsMax;
  }

  get list(): readonly BlockExtent[] {
    return this.#list;
  }

  /** False when there is no room: the stretch was not added. */
  add(lengthBytes: number, flags: number): boolean {
    const last = this.#list.at(-1);
    if (last?.flags === flags) last.lengthBytes += lengthBytes;
    else if (this.#list.length < this.#extentsMax) this.#list.push({ lengthBytes, flags });
    else return false;
    return true;
  }
}
