import { compareUtf8, fromUtf8, toUtf8 } from "./bytes.ts";
import { AttestationError, malformed } from "./errors.ts";

/** What JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** What `parseJson` reads at most. */
export interface JsonLimits {
  /** Default 64 MiB. */
  readonly maxBytes?: number;
  /** Objects and lists inside each other; default 64. */
  readonly maxDepth?: number;
}

/**
 * Reads JSON so that two readers cannot see two things in it: a name may stand only once in an object, whole numbers must
 * be exact in a double, a surrogate may not stand alone, and the text is UTF-8 without a byte order mark. `__proto__` is
 * a name like any other.
 *
 * @param source - UTF-8 bytes, or text
 * @param limits - size and depth
 * @returns the value
 * @throws AttestationError `attestation/malformed`, `attestation/not-canonical` (a name twice) or `attestation/too-large`
 *
 * @example
 * ```ts
 * import { parseJson } from "@parapet/attestation";
 * console.log((parseJson('{"a": [1, 2]}') as { a: number[] }).a.length); // => 2
 * ```
 *
 * Source: RFC 8259; RFC 7493 (I-JSON) for what is refused.
 */
export function parseJson(source: Uint8Array | string, limits: JsonLimits = {}): Json {
  const { maxBytes = 1 << 26, maxDepth = 64 } = limits;
  if (source.length > maxBytes) {
    throw new AttestationError(
      "attestation/too-large",
      `JSON expected at most ${maxBytes} bytes, got ${source.length}`,
    );
  }
  const text = typeof source === "string" ? source : fromUtf8(source);
  if (typeof source === "string") toUtf8(source);
  return new Reader(text, maxDepth).whole();
}

class Reader {
  readonly #text: string;
  readonly #maxDepth: number;
  #at = 0;

  constructor(text: string, maxDepth: number) {
    this.#text = text;
    this.#maxDepth = maxDepth;
  }

  whole(): Json {
    const value = this.#value(0);
    this.#blank();
    if (this.#at !== this.#text.length) throw this.#unexpected("the end");
    return value;
  }

  #unexpected(wanted: string): AttestationError {
    return malformed(`JSON expected ${wanted} at ${this.#at}`);
  }

  #blank(): void {
    for (; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
    }
  }

  #value(depth: number): Json {
    if (depth > this.#maxDepth) {
      throw new AttestationError("attestation/too-large", `JSON expected at most ${this.#maxDepth} levels`);
    }
    this.#blank();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#list(depth);
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#unexpected("a value");
    this.#at += word.length;
    return value;
  }

  #number(): number {
    const pattern = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) throw this.#unexpected("a value");
    const value = Number(found[0]);
    const whole = found[1] === undefined && found[2] === undefined;
    if (!Number.isFinite(value) || (whole && !Number.isSafeInteger(value))) {
      throw malformed(`JSON expected a number that a double holds exactly, at ${this.#at}`);
    }
    this.#at += found[0].length;
    return value;
  }

  #string(): string {
    const from = this.#at++;
    for (; ; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === 34) break;
      if (code === 92) this.#at++;
      else if (!(code >= 32)) throw this.#unexpected("a character of a string");
    }
    this.#at++;
    const literal = this.#text.slice(from, this.#at);
    let value: string;
    try {
      value = JSON.parse(literal) as string;
    } catch {
      throw malformed(`JSON expected a string at ${from}`);
    }
    if (literal.includes("\\u")) toUtf8(value);
    return value;
  }

  #list(depth: number): Json[] {
    const values: Json[] = [];
    this.#at++;
    this.#blank();
    if (this.#text[this.#at] === "]") {
      this.#at++;
      return values;
    }
    for (;;) {
      values.push(this.#value(depth + 1));
      this.#blank();
      const next = this.#text[this.#at];
      if (next !== "," && next !== "]") throw this.#unexpected('"," or "]"');
      this.#at++;
      if (next === "]") return values;
    }
  }

  #object(depth: number): Json {
    const value: Record<string, Json> = {};
    this.#at++;
    this.#blank();
    if (this.#text[this.#at] === "}") {
      this.#at++;
      return value;
    }
    for (;;) {
      this.#blank();
      if (this.#text[this.#at] !== '"') throw this.#unexpected("a name");
      const name = this.#string();
      if (Object.hasOwn(value, name)) {
        throw new AttestationError(
          "attestation/not-canonical",
          `JSON expected ${JSON.stringify(name)} once, got it twice`,
        );
      }
      this.#blank();
      if (this.#text[this.#at] !== ":") throw this.#unexpected('":"');
      this.#at++;
      const member = this.#value(depth + 1);
      if (name === "__proto__") {
        Object.defineProperty(value, name, { value: member, enumerable: true, configurable: true, writable: true });
      } else value[name] = member;
      this.#blank();
      const next = this.#text[this.#at];
      if (next !== "," && next !== "}") throw this.#unexpected('"," or "}"');
      this.#at++;
      if (next === "}") return value;
    }
  }
}

/**
 * The one form of a JSON value: names sorted by UTF-16 code units, no blanks, numbers and strings as ECMAScript writes
 * them.
 *
 * @param value - finite numbers, whole characters
 * @returns UTF-8
 * @throws AttestationError `attestation/malformed` when a number or text has no such form; `attestation/too-large` beyond
 *   1,000 levels
 *
 * @example
 * ```ts
 * import { canonicalJson, fromUtf8 } from "@parapet/attestation";
 * console.log(fromUtf8(canonicalJson({ b: 1e21, a: "é" }))); // => {"a":"é","b":1e+21}
 * ```
 *
 * Source: RFC 8785.
 */
export function canonicalJson(value: Json): Uint8Array<ArrayBuffer> {
  const number = (one: number) => {
    if (!Number.isFinite(one)) throw malformed(`canonical JSON expected finite numbers, got ${one}`);
    return JSON.stringify(one);
  };
  const order = (a: string, b: string) => (a < b ? -1 : 1);
  return toUtf8(written(value, number, JSON.stringify, order, 0));
}

/**
 * Canonical JSON as TUF signs it: names sorted by code points, whole numbers only, and in strings nothing but the
 * quotation mark and the backslash escaped.
 *
 * @param value - whole numbers, whole characters
 * @returns UTF-8
 * @throws AttestationError as `canonicalJson`, and for numbers that are not whole
 *
 * @example
 * ```ts
 * import { fromUtf8, olpcJson } from "@parapet/attestation";
 * console.log(fromUtf8(olpcJson({ b: 2, a: ["\t"] })).length); // => 17
 * ```
 *
 * Source: http://wiki.laptop.org/go/Canonical_JSON, as the TUF specification means it.
 */
export function olpcJson(value: Json): Uint8Array<ArrayBuffer> {
  const number = (one: number) => {
    if (!Number.isSafeInteger(one)) throw malformed(`canonical JSON of TUF expected whole numbers, got ${one}`);
    return String(one === 0 ? 0 : one);
  };
  const string = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
  return toUtf8(written(value, number, string, compareUtf8, 0));
}

function written(
  value: Json,
  number: (value: number) => string,
  string: (value: string) => string,
  order: (a: string, b: string) => number,
  depth: number,
): string {
  if (depth > 1000) throw new AttestationError("attestation/too-large", "canonical JSON expected at most 1,000 levels");
  const inner = (one: Json) => written(one, number, string, order, depth + 1);
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return number(value);
  if (typeof value === "string") {
    toUtf8(value);
    return string(value);
  }
  if (Array.isArray(value)) return `[${value.map(inner).join(",")}]`;
  if (typeof value !== "object") throw new TypeError(`"value" expected JSON, got ${typeof value}`);
  const members = value as Readonly<Record<string, Json>>;
  const names = Object.keys(members).sort(order);
  return `{${names.map((name) => `${inner(name)}:${inner(members[name]!)}`).join(",")}}`;
}
