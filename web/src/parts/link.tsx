/** Links to other pages of the panel: no page is loaded, and they open in a new tab as any link. */

import type { ComponentChildren } from "preact";
import { navigate } from "../shell/route.ts";

interface LinkProperties {
  readonly to: string;
  readonly class?: string;
  readonly isCurrent?: boolean;
  readonly children: ComponentChildren;
}

/** A link. */
export function Link({ to, isCurrent = false, children, ...rest }: LinkProperties) {
  const follow = (event: MouseEvent): void => {
    if (event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
      event.preventDefault();
      navigate(to);
    }
  };
  return (
    <a href={to} onClick={follow} {...rest} {...(isCurrent ? { "aria-current": "page" } : {})}>
      {children}
    </a>
  );
}
