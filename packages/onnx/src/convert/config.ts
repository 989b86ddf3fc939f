import type { ParapetError } from "@parapet/core";
import { brief, malformed, type OnnxErrorCode, unsupported } from "../problem.ts";
import { longest } from "./value.ts";

/** A layer's configuration, checked as it is read. Keras and tfjs write snake case; camel case is read, too. */
export interface Config {
  /** What the layer is called in messages: `Conv2D "conv1"`. */
  readonly title: string;
  /** The raw value, null and what is missing alike undefined. */
  get(name: string): unknown;
  flag(name: string, fallback: boolean): boolean;
  number(name: string, fallback: number): number;
  /** A whole number, at least `min`. */
  integer(name: string, min: number, fallback?: number): number;
  /** `count` whole numbers, at least `min`; one number stands for all of them. */
  integers(name: string, count: number, min: number, fallback?: number | readonly number[]): readonly number[];
  /** One of some words, in camel case. */
  choice<T extends string>(name: string, choices: readonly T[], fallback: T): T;
  /** The error that the configuration makes no sense. */
  malformed(what: string, expectation: string, got: unknown): ParapetError<OnnxErrorCode>;
  /** The error that it makes sense, yet is not converted. */
  unsupported(what: string, expectation: string, got: unknown): ParapetError<OnnxErrorCode>;
  /** Refuses a setting whose value is not the one that tfjs acts by. */
  only(name: string, accepted: readonly unknown[], why: string): void;
}

/** A reader of the JSON object `raw`. */
export function readConfig(title: string, raw: Readonly<Record<string, unknown>>): Config {
  const get = (name: string): unknown => {
    const key = [snakeCase(name), name].find((candidate) => Object.hasOwn(raw, candidate));
    return key === undefined ? undefined : (raw[key] ?? undefined);
  };
  const wrong = (what: string, expectation: string, got: unknown) => malformed(`${what} of ${title}`, expectation, got);
  const whole = (value: unknown, min: number): value is number =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= longest;
  const integers: Config["integers"] = (name, count, min, fallback) => {
    const value = get(name) ?? fallback;
    const list = Array.isArray(value) ? value : Array.from({ length: count }, () => value);
    if (list.length !== count || !list.every((entry) => whole(entry, min))) {
      throw wrong(name, count === 1 ? `a whole number >= ${min}` : `${count} whole numbers >= ${min}`, value);
    }
    return list;
  };
  return {
    title,
    get,
    integers,
    flag(name, fallback) {
      const value = get(name) ?? fallback;
      if (typeof value !== "boolean") throw wrong(name, "true or false", value);
      return value;
    },
    number(name, fallback) {
      const value = get(name) ?? fallback;
      if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(name, "a finite number", value);
      return value;
    },
    integer: (name, min, fallback) => integers(name, 1, min, fallback)[0]!,
    choice(name, choices, fallback) {
      const value = get(name) ?? fallback;
      const found = choices.find((choice) => choice === value || snakeCase(choice) === value);
      if (found === undefined) {
        throw unsupported(`${name} of ${title}`, choices.map((choice) => `"${choice}"`).join(" or "), short(value));
      }
      return found;
    },
    malformed: (what, expectation, got) => wrong(what, expectation, got),
    unsupported: (what, expectation, got) => unsupported(`${what} of ${title}`, expectation, got),
    only(name, accepted, why) {
      const value = get(name);
      if (value === undefined || accepted.includes(value)) return;
      if (Array.isArray(value) && value.every((entry) => accepted.includes(entry))) return;
      throw unsupported(`${name} of ${title}`, `${accepted.map(String).join(" or ")} (${why})`, value);
    },
  };
}

/** A JSON object, or an error. */
export function asObject(what: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw malformed(what, "an object", value);
  return value as Record<string, unknown>;
}

/** A list, or an error. */
export function asList(what: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(what, "a list", value);
  return value;
}

/** A string, or an error. */
export function asText(what: string, value: unknown): string {
  if (typeof value !== "string") throw malformed(what, "a string", value);
  return value;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function short(value: unknown): unknown {
  return typeof value === "string" ? brief(value) : value;
}
