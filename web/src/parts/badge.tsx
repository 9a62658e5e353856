/** A short word of state, explained on hover. */

/** How a badge is coloured; the word itself says the state. */
export type Tone = "plain" | "good" | "busy" | "warning" | "bad" | "faint";

/** The word. */
export function Badge({ word, tone, explain }: { word: string; tone: Tone; explain?: string }) {
  return (
    <span class={`badge tone-${tone}`} {...(explain === undefined ? {} : { title: explain })}>
      {word}
    </span>
  );
}

const MEMBER_TONES: Readonly<Record<string, Tone>> = {
  in_sync: "good",
  faulty: "bad",
  spare: "plain",
  blocked: "warning",
  rebuilding: "busy",
  missing: "warning",
  removed: "warning",
};

/** The tone of one of md's member states. */
export function memberTone(state: string): Tone {
  return MEMBER_TONES[state] ?? "plain";
}

const DEVICE_TONES: Readonly<Record<string, Tone>> = {
  free: "plain",
  "in-use": "good",
  spare: "plain",
  foreign: "warning",
  unusable: "faint",
  failed: "bad",
  missing: "warning",
};

/** The tone of a device's state. */
export function deviceTone(state: string): Tone {
  return DEVICE_TONES[state] ?? "plain";
}

const JOB_TONES: Readonly<Record<string, Tone>> = {
  queued: "plain",
  running: "busy",
  paused: "plain",
  cancelling: "plain",
  succeeded: "good",
  failed: "bad",
  cancelled: "faint",
  interrupted: "warning",
};

/** The tone of a job's state. */
export function jobTone(state: string): Tone {
  return JOB_TONES[state] ?? "plain";
}
