/** Pieces of pages: a titled section, the head of a page, a place for "nothing here yet". */

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface SectionProperties {
  readonly title: string;
  readonly lead?: string;
  readonly actions?: ComponentChildren;
  readonly class?: string;
  readonly children?: ComponentChildren;
}

/** A section on a surface of its own. */
export function Section({ title, lead, actions, children, ...rest }: SectionProperties) {
  const id = useId();
  return (
    <section class={`panel ${rest.class ?? ""}`} aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {lead !== undefined && <p class="faint">{lead}</p>}
        {actions !== undefined && <div class="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

interface PageHeadProperties {
  readonly title: string;
  readonly lead?: ComponentChildren;
  readonly actions?: ComponentChildren;
}

/** The head of a page; takes the focus, so that a screen reader reads on from here. */
export function PageHead({ title, lead, actions }: PageHeadProperties) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return (
    <header class="page-head">
      <div>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {lead !== undefined && <p class="lead">{lead}</p>}
      </div>
      {actions !== undefined && <div class="actions">{actions}</div>}
    </header>
  );
}

interface EmptyProperties {
  readonly title: string;
  readonly why: string;
  readonly actions?: ComponentChildren;
}

/** Nothing here yet, and what to do about it. */
export function Empty({ title, why, actions }: EmptyProperties) {
  return (
    <div class="empty">
      <svg viewBox="0 0 64 40" width="64" height="40" aria-hidden="true">
        <rect class="dashed" x="3" y="7" width="24" height="26" rx="4" />
        <rect class="dashed" x="37" y="7" width="24" height="26" rx="4" />
        <path class="stroke" d="M27 20h10" />
      </svg>
      <p class="empty-title">{title}</p>
      <p>{why}</p>
      {actions !== undefined && <div class="actions">{actions}</div>}
    </div>
  );
}
