/** Names of arrays, exports and disk files, checked as the API does. */

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/;

/** True for a name that the API takes. */
export function isName(text: string): boolean {
  return NAME.test(text);
}
