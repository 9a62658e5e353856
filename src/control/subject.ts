/** Paths of resources: what events, jobs and links name. */

/** Kinds of resources that change by themselves. */
export type ResourceKind = "array" | "export" | "device" | "job" | "system";

const COLLECTIONS: Readonly<Record<Exclude<ResourceKind, "system">, string>> = {
  array: "arrays",
  export: "exports",
  device: "devices",
  job: "jobs",
};

/** The REST path of a resource. */
export function subjectOf(kind: ResourceKind, id: string): string {
  return kind === "system"
    ? "/api/v1/system"
    : `/api/v1/${COLLECTIONS[kind]}/${encodeURIComponent(id)}`;
}
