/** Sentences with places to fill in: `{name}`, and forms for one and for many by `{count}`. */

/** A sentence, or its forms by number; the parameter `count` chooses. */
export type Message = string | { readonly one: string; readonly other: string };

/** Names of the places in a sentence, from its text. */
export type PlacesOf<S> = S extends `${string}{${infer Name}}${infer Rest}`
  ? Name | PlacesOf<Rest>
  : never;

/** What a message has to be given. */
export type ParametersOf<M> = M extends string
  ? PlacesOf<M>
  : M extends { readonly other: infer Other }
    ? PlacesOf<Other> | "count"
    : never;

/** The sentence with its places filled; a place that nothing is given for stays as it is. */
export function fill(
  message: Message,
  parameters: Readonly<Record<string, string | number>>,
  language: string,
): string {
  const text =
    typeof message === "string"
      ? message
      : message[pluralForm(Number(parameters["count"]), language)];
  return text.replace(/\{(\w+)\}/g, (place, name: string) => {
    const value = parameters[name];
    return typeof value === "number"
      ? new Intl.NumberFormat(language).format(value)
      : (value ?? place);
  });
}

const pluralForm = (count: number, language: string): "one" | "other" =>
  new Intl.PluralRules(language).select(count) === "one" ? "one" : "other";
