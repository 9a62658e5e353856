/** Form fields with their labels and hints. */

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface TextProperties {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly hint?: string;
  readonly placeholder?: string;
  readonly pattern?: string;
  readonly isRequired?: boolean;
  /** Names and tokens: no spelling help, no capital letters. */
  readonly isCode?: boolean;
  readonly isSecret?: boolean;
  readonly inputMode?: "text" | "decimal";
}

function Hint({ id, text }: { id: string; text: string | undefined }) {
  return text === undefined ? null : (
    <span class="hint" id={id}>
      {text}
    </span>
  );
}

/** A line of text. */
export function TextField(properties: TextProperties) {
  const { label, value, onValue, hint, placeholder, pattern } = properties;
  const id = useId();
  const { isRequired = false, isCode = false, isSecret = false, inputMode = "text" } = properties;
  return (
    <p class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type={isSecret ? "password" : "text"}
        inputMode={inputMode}
        value={value}
        required={isRequired}
        autocomplete="off"
        onInput={(event) => onValue(event.currentTarget.value)}
        {...(isCode ? { class: "code", autocapitalize: "none", spellcheck: false } : {})}
        {...(placeholder === undefined ? {} : { placeholder })}
        {...(pattern === undefined ? {} : { pattern })}
        {...(hint === undefined ? {} : { "aria-describedby": `${id}-hint` })}
      />
      <Hint id={`${id}-hint`} text={hint} />
    </p>
  );
}

interface SelectProperties {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly options: readonly { readonly value: string; readonly label: string }[];
  readonly hint?: string;
}

/** A choice from a list. */
export function SelectField({ label, value, onValue, options, hint }: SelectProperties) {
  const id = useId();
  return (
    <p class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value}
        onChange={(event) => onValue(event.currentTarget.value)}
        {...(hint === undefined ? {} : { "aria-describedby": `${id}-hint` })}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
      <Hint id={`${id}-hint`} text={hint} />
    </p>
  );
}

interface CheckProperties {
  readonly isChecked: boolean;
  readonly onChecked: (isChecked: boolean) => void;
  readonly children: ComponentChildren;
}

/** Yes or no. */
export function CheckField({ isChecked, onChecked, children }: CheckProperties) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={isChecked}
        onChange={(event) => onChecked(event.currentTarget.checked)}
      />
      <span>{children}</span>
    </label>
  );
}
