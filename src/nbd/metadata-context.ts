/**
 * Metadata contexts and the queries that choose them. A query is `namespace:leaf`. An empty leaf is
 * a wildcard when listing and selects nothing when setting; namespaces we do not know are ignored.
 * Source: NBD protocol doc/proto.md, "Metadata querying"; `satsuma:` is ours, see docs/nbd.md.
 */
import type { MetadataContext } from "./export-backend.ts";

/** Ids of the contexts in replies; the protocol leaves the numbers to the server. */
const CONTEXT_IDS: Readonly<Record<MetadataContext, number>> = {
  "base:allocation": 1,
  "satsuma:dirty": 2,
};

/** The id that replies carry for `context`. */
export function contextId(context: MetadataContext): number {
  return CONTEXT_IDS[context];
}

/** The contexts that match at least one query; undefined when a query has no namespace. */
export function listContexts(
  available: readonly MetadataContext[],
  queries: readonly string[],
): readonly MetadataContext[] | undefined {
  if (!queries.every(hasNamespace)) return undefined;
  if (queries.length === 0) return available;
  return available.filter((context) =>
    queries.some((query) => query === context || query === namespaceOf(context)),
  );
}

/** The contexts that are named exactly; undefined when a query has no namespace. */
export function selectContexts(
  available: readonly MetadataContext[],
  queries: readonly string[],
): readonly MetadataContext[] | undefined {
  if (!queries.every(hasNamespace)) return undefined;
  return available.filter((context) => queries.includes(context));
}

function hasNamespace(query: string): boolean {
  return query.indexOf(":") > 0;
}

/** `base:` of `base:allocation`. */
function namespaceOf(context: MetadataContext): string {
  return context.slice(0, context.indexOf(":") + 1);
}
