import { problem } from "./problem.ts";

const quoted = (name: string): string => JSON.stringify(name).slice(0, 200);

/** Letters of scripts that look alike: a part of a name has those of one of them. */
const SCRIPTS = [/\p{Script=Latin}/u, /\p{Script=Cyrillic}/u, /\p{Script=Greek}/u, /\p{Script=Armenian}/u];

/**
 * A name without what file systems may not tell apart: case, and how letters are composed. Capitals first made small, then large
 * and small again, take along letters that have more than one small or large form: sharp s is ss, dotless i is i.
 *
 * Source: Unicode 16.0, section 3.13.3, NFKC_Casefold, of which this joins a little more.
 */
function folded(name: string): string {
  const fold = (text: string) => text.toLowerCase().toUpperCase().toLowerCase().replaceAll("\u03c2", "\u03c3");
  return fold(fold(name.normalize("NFKD")).normalize("NFKC")).normalize("NFKC");
}

/**
 * Refuses names that could lead out of a model or be taken for others: absolute paths, `.` and `..`, backslashes, control and
 * invisible characters, the same name twice, names that differ in nothing but case or in how Unicode composes a letter, and
 * parts that mix letters of scripts that look alike.
 */
export function checkNames(names: readonly string[]): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const refuse = (why: string) => problem("model-signing/name", `file name ${quoted(name)} ${why}`);
    if (name === "" || name.length > 4096) throw refuse("expected 1 to 4096 characters");
    if (/[\\]/.test(name) || /^[a-z]:/i.test(name)) throw refuse('expected "/" between its parts and no drive');
    if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}]/u.test(name))
      throw refuse("expected characters that can be seen");
    for (const part of name.split("/")) {
      if (part === "" || part === "." || part === "..")
        throw refuse('expected a path inside of the model, without ".", ".." or an empty part');
      if (SCRIPTS.filter((script) => script.test(part)).length > 1) {
        throw refuse("expected letters of one script in each part: some look like others");
      }
    }
    const plain = folded(name);
    const other = seen.get(plain);
    if (other === name) throw refuse("expected once, got it twice");
    if (other !== undefined) throw refuse(`expected to differ in more than case or form from ${quoted(other)}`);
    seen.set(plain, name);
  }
}

/** What lies at the root of a repository and is no part of a model. */
export const usuallyIgnored = [".git", ".gitattributes", ".github", ".gitignore"] as const;

/** Whether a file is one of the ignored paths, or lies in one. */
export function isIgnored(name: string, ignored: ReadonlySet<string>): boolean {
  if (ignored.has(name)) return true;
  for (let at = name.indexOf("/"); at >= 0; at = name.indexOf("/", at + 1))
    if (ignored.has(name.slice(0, at))) return true;
  return false;
}

/** Checks ignored paths that a caller or a bundle names: relative, no patterns. */
export function checkIgnored(paths: readonly string[], from: "caller" | "bundle"): void {
  const bad = paths.find(
    (path) =>
      typeof path !== "string" ||
      path === "" ||
      path.startsWith("/") ||
      path.split("/").some((part) => part === "" || part === "." || part === ".."),
  );
  if (bad === undefined) return;
  const message = `"ignorePaths" expected paths inside of the model, without ".." or a "/" at an end, got ${quoted(String(bad))}`;
  throw from === "caller" ? new RangeError(message) : problem("model-signing/malformed", message);
}
