/** Paths of resources: what events, jobs and links name. */

/** Kinds of resources that change by themselves. */
export type ResourceKind = "array" | "export" | "device" | "job" | "system";

/** What events, jobs and links name besides: boards tell of themselves when they are asked. */
export type SubjectKind = ResourceKind | "node";

const COLLECTIONS: Readonly<Record<Exclude<SubjectKind, "system">, string>> = {
  array: "arrays",
  export: "exports",
  device: "devices",
  job: "jobs",
  node: "nodes",
};

/** The REST path of a resource. */
export function subjectOf(kind: SubjectKind, id: string): string {
  return kind === "system"
    ? "/api/v1/system"
    : `/api/v1/${COLLECTIONS[kind]}/${encodeURIComponent(id)}`;
}
