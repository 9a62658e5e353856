/** A command to paste, with its copy button. */

import { CopyButton } from "./copy-button.tsx";

/** The command; long lines scroll. */
export function CommandBlock({ text, title }: { text: string; title?: string }) {
  return (
    <div class="command">
      <div class="command-head">
        <span class="hint">{title ?? ""}</span>
        <CopyButton text={text} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must take the keyboard */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </div>
  );
}
