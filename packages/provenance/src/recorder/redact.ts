/** What stands where a secret stood. */
const HIDDEN = "[hidden]";

const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN ([A-Z ]*PRIVATE KEY)-----[\s\S]*?(?:-----END \1-----|$)/g, HIDDEN],
  // A user, a password or a token in an address.
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@"']*@/gi, "$1"],
  [
    /([?&#;](?:[\w.-]*(?:token|secret|password|passwd|signature|credential|api[_-]?key)[\w.-]*|sig|auth|key)=)[^&#\s"']+/gi,
    `$1${HIDDEN}`,
  ],
  [/\b(Bearer|Basic|Token)\s+[A-Za-z0-9+/=._~-]{8,}/g, `$1 ${HIDDEN}`],
  [/\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hf_\w{20,}|npm_\w{20,}|sk-[\w-]{16,})/g, HIDDEN],
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}|\bxox[abeprs]-[\w-]{10,}/g, HIDDEN],
  // A JSON Web Token.
  [/\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, HIDDEN],
  [/((?:password|passwd|passphrase|secret|token|api[_-]?key)["']?\s*[:=]\s*["']?)[^\s"',;&]{4,}/gi, `$1${HIDDEN}`],
];

/** Names of variables, parameters and fields whose values are secrets. */
const SECRET_NAME =
  /(?:^|[_.-])(?:api_?key|access_?key|private_?key|secret_?key|key|token|pat|auth|authorization|secret|password|passwd|passphrase|pwd|credentials?|cookie|sas|dsn)(?:$|[_.-])/i;

/**
 * Whether something of this name is to be kept secret.
 *
 * @param name - of a variable or a parameter
 * @returns true where it sounds like a key, a token or a password
 *
 * @example
 * ```ts
 * import { isSecretName } from "@parapet/provenance";
 * console.log(isSecretName("GITHUB_TOKEN"), isSecretName("maxTokens")); // => true false
 * ```
 */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name.replace(/([a-z])([A-Z])/g, "$1_$2"));
}

/**
 * Takes secrets out of texts, before they are recorded: what looks like a token, a password or a private key, users in
 * addresses, and values that are known to be secret.
 *
 * @param secrets - texts that are to stand nowhere; those of fewer than 6 characters are passed over
 * @returns the function that does it
 *
 * @example
 * ```ts
 * import { createRedactor } from "@parapet/provenance";
 * const clean = createRedactor(["correct horse"]);
 * console.log(clean("https://me:pw@example.com/x?token=abc said correct horse")); // => https://example.com/x?token=[hidden] said [hidden]
 * ```
 */
export function createRedactor(secrets: readonly string[] = []): (text: string) => string {
  const known = [...new Set(secrets)].filter(({ length }) => length >= 6).sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const secret of known) clean = clean.replaceAll(secret, HIDDEN);
    for (const [pattern, by] of patterns) clean = clean.replace(pattern, by);
    return clean;
  };
}

/** The same for all texts in a value, and for texts whose names say that they are secret. */
export function redactAll<T>(value: T, clean: (text: string) => string): T {
  if (typeof value === "string") return clean(value) as T;
  if (Array.isArray(value)) return value.map((one: unknown) => redactAll(one, clean)) as T;
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, one]) => {
    return [name, isSecretName(name) && typeof one === "string" ? HIDDEN : redactAll(one as unknown, clean)];
  });
  return Object.fromEntries(entries) as T;
}
