/**
 * What the links between boards and members of etcd do just now. A link has two directions; the
 * rule of a direction says what becomes of the bytes that go along it. Pure.
 */

export interface LinkRule {
  /** Nothing goes through; it is kept, as a network's peers would send it again. */
  readonly isCut: boolean;
  /** Time on the way. */
  readonly delayMs: number;
  /** Of a thousand pieces so many are lost, and come when they are sent again. */
  readonly lostPerMille: number;
  /** Of a thousand pieces so many end the connection. */
  readonly resetPerMille: number;
}

/** A link that does nothing to what goes along it. */
export const GOOD_LINK: LinkRule = { isCut: false, delayMs: 0, lostPerMille: 0, resetPerMille: 0 };
const CUT_LINK: LinkRule = { ...GOOD_LINK, isCut: true };

/** A pair of places; `isOneWay`: only what `from` sends. */
export interface Link {
  readonly from: string;
  readonly to: string;
  readonly isOneWay: boolean;
}

export class LinkTable {
  readonly #laid = new Map<number, { readonly links: readonly Link[]; readonly rule: LinkRule }>();
  readonly #listeners = new Set<() => void>();
  #last = 0;

  /** The rule of what `from` sends to `to`: a cut before anything, else the worst of each. */
  rule(from: string, to: string): LinkRule {
    let rule = GOOD_LINK;
    for (const { links, rule: laid } of this.#laid.values())
      if (links.some((link) => isOn(link, from, to))) rule = worse(rule, laid);
    return rule;
  }

  /** Lays a rule over links. Returns what lifts it. */
  lay(links: readonly Link[], rule: LinkRule): () => void {
    this.#last += 1;
    const key = this.#last;
    this.#laid.set(key, { links, rule });
    this.#tell();
    return () => {
      if (this.#laid.delete(key)) this.#tell();
    };
  }

  cut(links: readonly Link[]): () => void {
    return this.lay(links, CUT_LINK);
  }

  /** Told after each change. Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

const isOn = (link: Link, from: string, to: string): boolean =>
  (link.from === from && link.to === to) ||
  (!link.isOneWay && link.from === to && link.to === from);

const worse = (one: LinkRule, other: LinkRule): LinkRule => ({
  isCut: one.isCut || other.isCut,
  delayMs: Math.max(one.delayMs, other.delayMs),
  lostPerMille: Math.max(one.lostPerMille, other.lostPerMille),
  resetPerMille: Math.max(one.resetPerMille, other.resetPerMille),
});
