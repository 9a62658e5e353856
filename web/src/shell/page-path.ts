/** The pages of the panel and their paths. Pure. */

/** The pages. */
export type Route =
  | {
      readonly page: "overview" | "devices" | "exports" | "boards" | "activity" | "create-array";
    }
  | { readonly page: "array"; readonly id: string }
  | { readonly page: "not-found"; readonly path: string };

const PAGES: Readonly<Record<string, Route>> = {
  "/": { page: "overview" },
  "/devices": { page: "devices" },
  "/exports": { page: "exports" },
  "/boards": { page: "boards" },
  "/activity": { page: "activity" },
  "/arrays/new": { page: "create-array" },
};

/** The page of a path. */
export function routeOf(path: string): Route {
  const known = PAGES[path.length > 1 ? path.replace(/\/$/, "") : path];
  const id = /^\/arrays\/([^/]+)\/?$/.exec(path)?.[1];
  if (known !== undefined) {
    return known;
  }
  try {
    return id === undefined
      ? { page: "not-found", path }
      : { page: "array", id: decodeURIComponent(id) };
  } catch {
    return { page: "not-found", path };
  }
}

/** The path of an array's page. */
export function arrayPagePath(id: string): string {
  return `/arrays/${encodeURIComponent(id)}`;
}
