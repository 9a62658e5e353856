/** A choice of a few, all in view: radio buttons that look like a row of tabs. */

import { useId } from "preact/hooks";

interface TabsProperties {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
  readonly options: readonly { readonly value: string; readonly label: string }[];
}

/** The row; arrow keys move through it as through any radio buttons. */
export function Tabs({ label, value, onValue, options }: TabsProperties) {
  const name = useId();
  return (
    <fieldset class="tabs">
      <legend class="visually-hidden">{label}</legend>
      {options.map((option) => (
        <label key={option.value} class="tab">
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onValue(option.value)}
          />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
