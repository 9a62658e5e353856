/** A metric whose values are read when the page is made. */

/** One sample; `metricName` differs from the family's for parts of a histogram. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly metricName?: string;
}

/** One metric with all its samples. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter" | "histogram";
  readonly values: () => readonly Sample[];
}

/** A family of one sample without labels. */
export function single(
  name: string,
  help: string,
  type: "gauge" | "counter",
  value: () => number,
): Family {
  return { name, help, type, values: () => [{ labels: {}, value: value() }] };
}
