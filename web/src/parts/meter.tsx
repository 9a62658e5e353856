/** A bar that shows how much of something is done or taken. */

interface MeterProperties {
  readonly label: string;
  /** 0 to 100. */
  readonly percent: number;
  readonly text: string;
  readonly tone: "sync" | "dirty";
  readonly role?: "progressbar" | "meter";
}

/** The bar. The width is set by script, which the Content-Security-Policy allows. */
export function Meter({ label, percent, text, tone, role = "progressbar" }: MeterProperties) {
  const meaning = {
    role,
    "aria-label": label,
    "aria-valuemin": 0,
    "aria-valuemax": 100,
    "aria-valuenow": Math.floor(percent),
    "aria-valuetext": text,
  };
  return (
    <div class={`meter meter-${tone}`} {...meaning}>
      <div class="meter-fill" style={{ width: `${percent}%` }} />
    </div>
  );
}
