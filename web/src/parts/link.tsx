/** Links to other pages of the panel: no page is loaded, and they open in a new tab as any link. */

import type { ComponentChildren } from "preact";
import { navigate } from "../shell/route.ts";

interface LinkProperties {
  readonly to: string;
  readonly class?: string;
  /** `page`: this very page is shown; `section`: one below it. */
  readonly current?: "page" | "section" | undefined;
  readonly children: ComponentChildren;
}

const CURRENT = { page: "page", section: "true" } as const;

/** A link. */
export function Link({ to, current, children, ...rest }: LinkProperties) {
  const follow = (event: MouseEvent): void => {
    if (event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
      event.preventDefault();
      navigate(to);
    }
  };
  return (
    <a
      href={to}
      onClick={follow}
      {...rest}
      {...(current === undefined ? {} : { "aria-current": CURRENT[current] })}
    >
      {children}
    </a>
  );
}
