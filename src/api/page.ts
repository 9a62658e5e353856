/** Pages of collections: a limit, and a cursor that names the last item of the page before. */

import { CodedError } from "../common/errors.ts";

/** A page. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
}

/** What a collection request may ask. */
export interface PageRequest {
  readonly limit?: number;
  readonly cursor?: string;
}

const LIMIT_DEFAULT = 50;

const encode = (key: string): string => Buffer.from(key).toString("base64url");

/** The key a cursor holds. Errors: API_VALIDATION_FAILED when it is not one of ours. */
export function cursorKey(cursor: string): string {
  const key = Buffer.from(cursor, "base64url").toString();
  if (encode(key) !== cursor) {
    throw new CodedError("API_VALIDATION_FAILED", "the cursor is not one of this server's", {
      remedy: "start again without cursor",
      details: { errors: [{ pointer: "/cursor", code: "cursor", detail: "is not known here" }] },
    });
  }
  return key;
}

/** One page of `sorted`, whose keys are unique; an item deleted in between does no harm. */
export function pageOf<Source, Item>(
  sorted: readonly Source[],
  request: PageRequest,
  keyOf: (source: Source) => string,
  show: (source: Source) => Item,
): Page<Item> {
  const limit = request.limit ?? LIMIT_DEFAULT;
  const after = request.cursor === undefined ? null : cursorKey(request.cursor);
  const ordered = [...sorted].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  const rest = after === null ? ordered : ordered.filter((source) => keyOf(source) > after);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return {
    items: page.map(show),
    next_cursor: last !== undefined && rest.length > limit ? encode(keyOf(last)) : null,
  };
}

/** A page whose source already stopped at `limit + 1` items. */
export function pageOfPrefix<Source, Item>(
  found: readonly Source[],
  limit: number,
  keyOf: (source: Source) => string,
  show: (source: Source) => Item,
): Page<Item> {
  const page = found.slice(0, limit);
  const last = page.at(-1);
  return {
    items: page.map(show),
    next_cursor: last !== undefined && found.length > limit ? encode(keyOf(last)) : null,
  };
}
