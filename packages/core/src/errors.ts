/**
 * The world's fault, as opposed to the caller's (which is a `TypeError` or `RangeError`): a backend that is missing,
 * a model that cannot be opened, a file that is damaged. Tell errors apart by `code`, not by `instanceof`:
 * two copies of this package may be loaded.
 *
 * @example
 * ```ts
 * import { ParapetError } from "@parapet/core";
 * const error = new ParapetError("tfjs/backend-missing", "no backend is set", { cause: new Error("first failure") });
 * console.log(error.code, (error.cause as Error).message); // => tfjs/backend-missing first failure
 * ```
 */
export class ParapetError<Code extends string = string> extends Error {
  /** What went wrong, as a literal that never changes: `"package/problem"`. */
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ParapetError";
    this.code = code;
  }
}

/**
 * The message of every caller's mistake: `"epsilon" expected >= 0, got -1`.
 *
 * @param name - what the caller calls the value
 * @param expectation - what it should have been, in words
 * @param got - what came; numbers and strings are printed, shapes in brackets, other objects by their kind
 * @returns the message
 *
 * @example
 * ```ts
 * import { expected } from "@parapet/core";
 * console.log(expected("epsilon", ">= 0", -1)); // => "epsilon" expected >= 0, got -1
 * ```
 */
export function expected(name: string, expectation: string, got: unknown): string {
  return `"${name}" expected ${expectation}, got ${show(got)}`;
}

function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(show).join(", ")}${value.length > 8 ? ", ..." : ""}]`;
  if (typeof value === "function") return `a function${value.name ? ` (${value.name})` : ""}`;
  if (typeof value === "object" && value !== null) return `an object (${value.constructor?.name ?? "no prototype"})`;
  return String(value);
}

/** The range that `checkNumber` asks for; a bound that is left out is not checked. */
export interface NumberRange {
  /** Lowest value allowed. */
  readonly min?: number;
  /** Highest value allowed. */
  readonly max?: number;
  /** The value must be greater than this. */
  readonly above?: number;
  /** The value must be less than this. */
  readonly below?: number;
  /** Whole numbers only. */
  readonly integer?: boolean;
}

/**
 * Checks an option that is a number: finite, and in a range.
 *
 * @param name - the option's name, for the message
 * @param value - what the caller gave
 * @param range - what is allowed
 * @returns the value
 * @throws TypeError when it is not a number
 * @throws RangeError when it is NaN, infinite or outside the range
 *
 * @example
 * ```ts
 * import { checkNumber } from "@parapet/core";
 * console.log(checkNumber("steps", 40, { min: 1, integer: true })); // => 40
 * try {
 *   checkNumber("epsilon", -1, { min: 0 });
 * } catch (error) {
 *   console.log((error as Error).message); // => "epsilon" expected a number >= 0, got -1
 * }
 * ```
 */
export function checkNumber(name: string, value: unknown, range: NumberRange = {}): number {
  const { min, max, above, below, integer = false } = range;
  const limits = [
    min === undefined ? "" : `>= ${min}`,
    above === undefined ? "" : `> ${above}`,
    max === undefined ? "" : `<= ${max}`,
    below === undefined ? "" : `< ${below}`,
  ].filter((limit) => limit !== "");
  const wanted = `${integer ? "a whole number" : "a number"}${limits.length > 0 ? ` ${limits.join(" and ")}` : ""}`;
  if (typeof value !== "number") throw new TypeError(expected(name, wanted, value));
  const inside =
    Number.isFinite(value) &&
    (!integer || Number.isInteger(value)) &&
    (min === undefined || value >= min) &&
    (max === undefined || value <= max) &&
    (above === undefined || value > above) &&
    (below === undefined || value < below);
  if (!inside) throw new RangeError(expected(name, wanted, value));
  return value;
}
