/** What of the cluster wants a person's attention. */

import type { LifeStatus } from "../life/cluster-life.ts";
import type { Attention } from "./health.ts";

const SUBJECT = "/api/v1/cluster";

/** Of a cluster that the board looks after itself. */
export function clusterAttention({ sight }: LifeStatus): readonly Attention[] {
  if (sight?.isShutOut === true) return [shutOut(sight.quorum.sentences)];
  if (sight === null || sight.etcd.members.length === 0) return [];
  const { state, isWitnessMissing, voteless, sentences } = sight.quorum;
  const found: Attention[] = [];
  if (state === "lost") {
    found.push({
      severity: "critical",
      code: "quorum-lost",
      message: sentences[0] ?? "the cluster has no majority",
      subject: SUBJECT,
      fix: "Bring back the boards whose voters do not answer; nothing is lost meanwhile.",
    });
  } else if (isWitnessMissing) {
    found.push({
      severity: "warning",
      code: "witness-missing",
      message: sentences.join("; "),
      subject: SUBJECT,
      fix: "Let any third machine be a witness: satsuma cluster token --witness.",
    });
  } else if (state === "at-risk") {
    const why = sentences.length === 0 ? "" : `: ${sentences.join("; ")}`;
    found.push({
      severity: "warning",
      code: "quorum-at-risk",
      message: `the loss of one more voter stops the cluster${why}`,
      subject: SUBJECT,
      fix:
        voteless.length > 0
          ? "See to what keeps these boards from a vote; they get it by themselves then."
          : "Bring back the voter that does not answer, or let another board join.",
    });
  }
  const isFull = sight.etcd.alarms.length > 0;
  const about = sight.warnings.map((message): Attention => {
    const severity = isFull ? "critical" : "info";
    return { severity, code: "cluster-store", message, subject: SUBJECT, fix: null };
  });
  return [...found, ...about];
}

const shutOut = ([what = "", fix = ""]: readonly string[]): Attention => ({
  severity: "critical",
  code: "cluster-shut-out",
  message: what,
  subject: SUBJECT,
  fix,
});
