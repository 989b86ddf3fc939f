import { toUtf8 } from "./bytes.ts";
import { malformed } from "./errors.ts";
import { type Json, parseJson } from "./json.ts";

/** What a statement is about: by its digests alone, whatever it is called. */
export interface Subject {
  readonly name?: string;
  /** Hexadecimal digits by algorithm, such as `{ sha256: "..." }`. */
  readonly digest: Readonly<Record<string, string>>;
}

/** An in-toto statement: something that is said about some artefacts. */
export interface Statement {
  readonly _type: typeof statementType;
  readonly subject: readonly Subject[];
  /** What kind of thing is said. */
  readonly predicateType: string;
  /** What is said. */
  readonly predicate: Json;
}

/**
 * The `_type` of the statements that are read and written here.
 *
 * @example
 * ```ts
 * import { statementType } from "@parapet/attestation";
 * console.log(statementType); // => https://in-toto.io/Statement/v1
 * ```
 */
export const statementType = "https://in-toto.io/Statement/v1";

/**
 * The media type of a statement in an envelope.
 *
 * @example
 * ```ts
 * import { statementMediaType } from "@parapet/attestation";
 * console.log(statementMediaType.length); // => 28
 * ```
 */
export const statementMediaType = "application/vnd.in-toto+json";

/**
 * Makes a statement.
 *
 * @param subject - what it is about, each with at least one digest
 * @param predicateType - a URI
 * @param predicate - what is said
 * @returns the statement
 * @throws AttestationError `attestation/malformed` when a digest is none
 *
 * @example
 * ```ts
 * import { createStatement } from "@parapet/attestation";
 * const digest = { sha256: "a".repeat(64) };
 * console.log(createStatement([{ digest }], "https://example.com/v1", { good: true })._type); // => https://in-toto.io/Statement/v1
 * ```
 *
 * Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md.
 */
export function createStatement(subject: readonly Subject[], predicateType: string, predicate: Json): Statement {
  return readStatement({ _type: statementType, subject: subject as unknown as Json, predicateType, predicate });
}

/**
 * A statement as the bytes of an envelope.
 *
 * @param statement - from `createStatement`
 * @returns UTF-8 of JSON
 *
 * @example
 * ```ts
 * import { createStatement, encodeStatement, parseStatement } from "@parapet/attestation";
 * const statement = createStatement([{ digest: { sha256: "a".repeat(64) } }], "https://example.com/v1", null);
 * console.log(parseStatement(encodeStatement(statement)).predicateType); // => https://example.com/v1
 * ```
 */
export function encodeStatement(statement: Statement): Uint8Array<ArrayBuffer> {
  return toUtf8(JSON.stringify(statement));
}

/**
 * Reads a statement. Fields that the specification does not know are passed over, as it asks.
 *
 * @param payload - the proven payload of an envelope
 * @returns the statement
 * @throws AttestationError `attestation/malformed`, and as `parseJson`
 *
 * @example
 * ```ts
 * import { parseStatement, toUtf8 } from "@parapet/attestation";
 * try {
 *   parseStatement(toUtf8('{"_type": "https://in-toto.io/Statement/v0.1"}'));
 * } catch (error) {
 *   console.log((error as Error).message.slice(0, 26)); // => statement expected "_type"
 * }
 * ```
 */
export function parseStatement(payload: Uint8Array): Statement {
  return readStatement(parseJson(payload));
}

function readStatement(json: Json): Statement {
  const { _type, subject, predicateType, predicate = null } = object(json, "statement");
  if (_type !== statementType) throw malformed(`statement expected "_type" ${statementType}, got ${show(_type)}`);
  if (typeof predicateType !== "string" || predicateType === "")
    throw malformed('statement expected a "predicateType"');
  if (!Array.isArray(subject) || subject.length === 0) throw malformed('statement expected a "subject", got none');
  const subjects = subject.map((one: Json): Subject => {
    const { name, digest } = object(one, "subject");
    if (name !== undefined && typeof name !== "string") throw malformed('subject expected "name" to be a text');
    const digests = Object.entries(object(digest ?? null, "digest"));
    if (digests.length === 0) throw malformed("subject expected a digest, got none");
    for (const [algorithm, value] of digests) {
      if (typeof value !== "string" || !/^(?:[0-9a-f]{2})+$/.test(value)) {
        throw malformed(`digest expected ${algorithm} in hexadecimal digits, got ${show(value)}`);
      }
    }
    return { ...(name === undefined ? {} : { name }), digest: Object.fromEntries(digests) as Record<string, string> };
  });
  return { _type, subject: subjects, predicateType, predicate };
}

function object(json: Json, what: string): Readonly<Record<string, Json | undefined>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed(`${what} expected an object`);
  return json as Readonly<Record<string, Json>>;
}

const show = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 100);
