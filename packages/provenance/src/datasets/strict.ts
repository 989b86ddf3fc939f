import type { Json } from "@parapet/attestation";
import { type AttestationError, type JsonLimits, parseJson } from "@parapet/attestation";
import { problem, shown } from "../problem.ts";

/** Makes the error of a value that is not what it should be: a caller's mistake, or the world's fault. */
export type Refuse = (message: string) => Error;

/** Refuses text from outside. */
export const malformed: Refuse = (message) => problem("provenance/malformed", message);

/** The members of an object of JSON. */
export type Members = Readonly<Record<string, unknown>>;

const kindOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "a list" : typeof value === "string" ? shown(value) : typeof value;

/** An object with these names and no others; a name that ends with "?" may be left out. */
export function membersOf(what: string, value: unknown, names: readonly string[], refuse: Refuse): Members {
  const members = dictionaryOf(what, value, refuse);
  const known = new Set(names.map((name) => name.replace("?", "")));
  const unknown = Object.keys(members).find((name) => !known.has(name));
  if (unknown !== undefined)
    throw refuse(`${what} expected no other members than ${[...known].join(", ")}, got ${shown(unknown)}`);
  const missing = names.find((name) => !name.endsWith("?") && !Object.hasOwn(members, name));
  if (missing !== undefined) throw refuse(`${what} expected a member "${missing}", got none`);
  return members;
}

/** An object with any names. */
export function dictionaryOf(what: string, value: unknown, refuse: Refuse): Members {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject) throw refuse(`${what} expected an object, got ${kindOf(value)}`);
  return value as Members;
}

/** Text of 1 to `most` characters. */
export function checkText(what: string, value: unknown, refuse: Refuse, most = 10_000): asserts value is string {
  if (typeof value !== "string" || value === "" || value.length > most) {
    throw refuse(`${what} expected text of 1 to ${most} characters, got ${kindOf(value)}`);
  }
}

/** A whole number from 0. */
export function checkCount(
  what: string,
  value: unknown,
  refuse: Refuse,
  most = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (!(Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most)) {
    throw refuse(
      `${what} expected a whole number from 0 to ${most}, got ${typeof value === "number" ? value : kindOf(value)}`,
    );
  }
}

/** A hash of 32 bytes in hexadecimal digits. */
export function checkHex(what: string, value: unknown, refuse: Refuse): asserts value is string {
  if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value)) {
    throw refuse(`${what} expected 64 hexadecimal digits in lower case, got ${kindOf(value)}`);
  }
}

/** The identity of a dataset. */
export function checkId(what: string, value: unknown, refuse: Refuse): asserts value is string {
  if (typeof value !== "string" || !/^sha256:[0-9a-f]{64}$/.test(value)) {
    throw refuse(`${what} expected "sha256:" and 64 hexadecimal digits in lower case, got ${kindOf(value)}`);
  }
}

/** A list of at most `most`, each of them checked. */
export function checkList(
  what: string,
  value: unknown,
  refuse: Refuse,
  check: (what: string, value: unknown, refuse: Refuse) => void,
  most = 10_000,
): void {
  if (!Array.isArray(value)) throw refuse(`${what} expected a list, got ${kindOf(value)}`);
  if (value.length > most) throw refuse(`${what} expected at most ${most} of them, got ${value.length}`);
  for (let i = 0; i < value.length; i++) check(`${what}[${i}]`, value[i], refuse);
}

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** A time by RFC 3339, with days that the calendar has. */
export function checkTime(what: string, value: unknown, refuse: Refuse): void {
  const pattern =
    /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;
  const found = typeof value === "string" ? pattern.exec(value) : null;
  const [year, month, day] = [Number(found?.[1]), Number(found?.[2]), Number(found?.[3])];
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 && isLeap ? 29 : (DAYS[month - 1] ?? 0);
  if (!(day >= 1 && day <= days))
    throw refuse(`${what} expected a time such as 2026-01-31T12:00:00Z, got ${kindOf(value)}`);
}

/** Reads strict JSON; what is none is refused with this package's codes. */
export function jsonOf(what: string, source: Uint8Array | string, limits: JsonLimits): Json {
  try {
    return parseJson(source, limits);
  } catch (cause) {
    if (!((cause as Partial<AttestationError>)?.code?.startsWith("attestation/") ?? false)) throw cause;
    const { code, message } = cause as AttestationError;
    const isLarge = code === "attestation/too-large";
    throw problem(isLarge ? "provenance/too-large" : "provenance/malformed", `${what}: ${message}`, { cause });
  }
}
