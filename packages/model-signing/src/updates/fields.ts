import type { Json } from "@parapet/attestation";
import { kindOf } from "../problem.ts";
import { updateError } from "./errors.ts";

/** An object of JSON. */
export type JsonObject = { readonly [name: string]: Json };

export const malformed = (where: string, expected: string, value: Json | undefined) =>
  updateError("model-signing/update-malformed", where, expected, kindOf(value));

/** What a name stands for; undefined where it does not stand there. Names such as `constructor` are never inherited. */
export const field = (object: JsonObject, name: string): Json | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;

export function asObject(value: Json | undefined, where: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(where, "an object", value);
  return value as JsonObject;
}

export function asList(value: Json | undefined, where: string): readonly Json[] {
  if (!Array.isArray(value)) throw malformed(where, "a list", value);
  return value as readonly Json[];
}

export function asText(value: Json | undefined, where: string): string {
  if (typeof value !== "string") throw malformed(where, "a text", value);
  return value;
}

export function asFlag(value: Json | undefined, where: string): boolean {
  if (typeof value !== "boolean") throw malformed(where, "true or false", value);
  return value;
}

export function asWhole(value: Json | undefined, where: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
    throw malformed(where, `a whole number >= ${min}${max < Number.MAX_SAFE_INTEGER ? ` and <= ${max}` : ""}`, value);
  }
  return value;
}

/** Hexadecimal digits, lower case. */
export function asDigits(value: Json | undefined, where: string, min: number, max: number): string {
  const text = asText(value, where);
  if (text.length < min || text.length > max || !/^[0-9a-f]*$/.test(text)) {
    throw malformed(where, `${min === max ? min : `${min} to ${max}`} hexadecimal digits in lower case`, value);
  }
  return text;
}

/** "YYYY-MM-DDTHH:MM:SSZ", a time that exists. */
export function asTime(value: Json | undefined, where: string): Date {
  const text = asText(value, where);
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (Number.isNaN(time.getTime()) || time.toISOString() !== text.replace("Z", ".000Z")) {
    throw malformed(where, 'a time "YYYY-MM-DDTHH:MM:SSZ"', value);
  }
  return time;
}
