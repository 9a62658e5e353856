/**
 * Rules over words: md's vocabulary in identifiers, and words that do not belong in the sources.
 */
import type { SourceFile, Violation } from "./repository.ts";
import { lineAt } from "./source-text.ts";

interface WordBan {
  /** A word of an identifier, lower case: `masterNode` holds `master` and `node`. */
  readonly word: RegExp;
  readonly instead: string;
  readonly files: RegExp;
  /** Whole identifiers that are right after all, mostly md's own names. */
  readonly allowed?: RegExp;
  readonly except?: RegExp;
}

const WORD_BANS: readonly WordBan[] = [
  { word: /^replicas?$/, instead: "copy or member", files: /^src\// },
  { word: /^(leaders?|primary|primaries)$/, instead: "the role that is meant", files: /^src\// },
  { word: /^(masters?|slaves?)$/, instead: "the role that is meant", files: /^src\// },
  {
    word: /^disks?$/,
    instead: "member",
    files: /^src\/raid\//,
    allowed: /^(MD_\w*DISKS?\w*|\w*(raid|delta)_?disks?\w*)$/i,
    // The superblock codecs keep md's field names.
    except: /superblock/,
  },
];

/** Forbidden words in identifiers; comments and strings may quote others' words. */
export function checkWords(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    const bans = WORD_BANS.filter(
      (ban) => ban.files.test(file.path) && !ban.except?.test(file.path),
    );
    if (bans.length === 0) return [];
    return [...file.code.matchAll(/[A-Za-z_$][\w$]*/g)].flatMap((match) => {
      const [identifier] = match;
      const words = splitIdentifier(identifier);
      return bans
        .filter((ban) => !ban.allowed?.test(identifier))
        .filter((ban) => words.some((word) => ban.word.test(word)))
        .map((ban) => {
          const line = lineAt(file.text, match.index);
          return `${file.path}:${line}: \`${identifier}\`: say ${ban.instead}`;
        });
    });
  });
}

/** The words of camelCase, PascalCase and SNAKE_CASE identifiers, lower case. */
export function splitIdentifier(identifier: string): string[] {
  return identifier
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2")
    .toLowerCase()
    .split(/[_$]+/)
    .filter((word) => word !== "");
}

const PROGRAM = /^(src|web|bin|scripts|image|bench)\//;
const LEFTOVERS = /\b(FIXME|TODO)\b/g;
const PRINTING = /\bconsole\.(log|error|warn|info|debug)\b/g;

/** Notes to oneself and debugging output. */
export function checkLeftovers(files: readonly SourceFile[]): Violation[] {
  return files
    .filter((file) => PROGRAM.test(file.path))
    .flatMap((file) => [
      ...[...file.text.matchAll(LEFTOVERS)].map((match) => {
        return `${file.path}:${lineAt(file.text, match.index)}: ${match[0]}; do it or drop it`;
      }),
      ...[...file.code.matchAll(PRINTING)].map((match) => {
        return `${file.path}:${lineAt(file.text, match.index)}: ${match[0]}; print or log properly`;
      }),
    ]);
}

// Pieced together, so that this file does not mention what it forbids.
const OUTSIDE = new RegExp(
  [
    `\\.\\./${"shared"}(?![-\\w.])`,
    `/${"work"}/(${["main", "shared", "brief"].join("|")})\\b`,
  ].join("|"),
  "g",
);

/** Mentions of folders outside the repository, which a clone does not have. */
export function checkOutsidePaths(texts: ReadonlyMap<string, string>): Violation[] {
  return [...texts].flatMap(([path, text]) =>
    [...text.matchAll(OUTSIDE)].map((match) => {
      return `${path}:${lineAt(text, match.index)}: ${match[0]} is outside the repository`;
    }),
  );
}
