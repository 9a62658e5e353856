/** Pure code decides, edges act: what pure files may not contain. */
import { EDGE_FILE, PURE_FILES } from "./import-table.ts";
import type { SourceFile, Violation } from "./repository.ts";
import { lineAt } from "./source-text.ts";

interface Ban {
  readonly pattern: RegExp;
  readonly why: string;
  /** Files the ban does not hold for. */
  readonly except?: RegExp;
}

/** Declarations of what drivers call; they hold no code that could wait. */
const PORTS = /^src\/cluster\/(store\/cluster-store|node\/cluster-member)\.ts$/;

const CODECS = /(superblock|message|codec|frame|bytes)[^/]*\.ts$/;

const BANS: readonly Ban[] = [
  { pattern: /(?<![.\w])async\b(?!\s*[:?,}])/g, why: "is synchronous: no async" },
  { pattern: /(?<![.\w])await\b/g, why: "is synchronous: no await" },
  { pattern: /\bPromise\b/g, why: "is synchronous: no Promise", except: PORTS },
  // A conversion of a given time, `new Date(ms)`, reads no clock.
  { pattern: /\bDate\.now\b|\bnew Date\(\s*\)|(?<!new )\bDate\(/g, why: "reads no clock" },
  { pattern: /\bperformance\./g, why: "reads no clock" },
  { pattern: /\b(set|clear)(Timeout|Interval|Immediate)\b/g, why: "has no timers; use ticks" },
  { pattern: /\bqueueMicrotask\b/g, why: "has no queue of its own" },
  { pattern: /\bMath\.random\b|\bcrypto\./g, why: "takes randomness from its caller (Prng)" },
  { pattern: /(?<![.\w])process\./g, why: "does not know the process it runs in" },
  { pattern: /\bconsole\b/g, why: "prints nothing" },
  { pattern: /^(export )?let\b/gm, why: "has no module-level state" },
  { pattern: /\bBuffer\b/g, why: "uses Uint8Array, not Buffer", except: CODECS },
];

export function isPure(path: string): boolean {
  return PURE_FILES.test(path) && !EDGE_FILE.test(path);
}

export function checkPurity(files: readonly SourceFile[]): Violation[] {
  return files
    .filter((file) => isPure(file.path))
    .flatMap((file) =>
      BANS.filter((ban) => !ban.except?.test(file.path)).flatMap((ban) =>
        [...file.code.matchAll(ban.pattern)].map((match) => {
          const line = lineAt(file.text, match.index);
          return `${file.path}:${line}: pure code ${ban.why} (\`${match[0]}\`)`;
        }),
      ),
    );
}
