import { concatBytes } from "./bytes.ts";
import { AttestationError, malformed } from "./errors.ts";

/** One value of a DER file. */
export interface DerNode {
  /** The first byte: class, form and number. */
  readonly tag: number;
  /** What stands inside. */
  readonly content: Uint8Array<ArrayBuffer>;
  /** The value with its tag and length. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Tags of DER.
 *
 * @example
 * ```ts
 * import { tags } from "@parapet/attestation";
 * console.log(tags.sequence); // => 48
 * ```
 */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
} as const;

/**
 * Reads one DER value that fills the bytes: definite lengths in their shortest form, tags of one byte.
 *
 * @param bytes - DER
 * @returns the value; `derChildren` opens what it holds
 * @throws AttestationError `attestation/malformed` or `attestation/not-canonical`
 *
 * @example
 * ```ts
 * import { derChildren, readDer } from "@parapet/attestation";
 * const sequence = readDer(Uint8Array.of(0x30, 3, 2, 1, 5));
 * console.log(derChildren(sequence)[0]!.content[0]); // => 5
 * ```
 *
 * Source: ITU-T X.690, sections 8 and 10.
 */
export function readDer(bytes: Uint8Array): DerNode {
  const node = next(bytes, 0);
  if (node.bytes.length !== bytes.length) throw malformed("DER expected one value, got more bytes behind it");
  return node;
}

/**
 * The values inside a constructed one.
 *
 * @param node - a sequence, a set, or a context tag around others
 * @param tag - what the value itself must be; default: any constructed one
 * @returns the values, in their order; at most 10,000
 * @throws AttestationError as `readDer`
 *
 * @example
 * ```ts
 * import { derChildren, readDer, tags } from "@parapet/attestation";
 * console.log(derChildren(readDer(Uint8Array.of(0x30, 0)), tags.sequence).length); // => 0
 * ```
 */
export function derChildren(node: DerNode, tag?: number): DerNode[] {
  if (tag === undefined ? (node.tag & 0x20) === 0 : node.tag !== tag) {
    throw malformed(`DER expected ${tag === undefined ? "a constructed value" : `tag ${tag}`}, got tag ${node.tag}`);
  }
  const children: DerNode[] = [];
  for (let at = 0; at < node.content.length; ) {
    const child = next(node.content, at);
    children.push(child);
    at += child.bytes.length;
    if (children.length > 10_000)
      throw new AttestationError("attestation/too-large", "DER expected at most 10,000 values");
  }
  return children;
}

function next(bytes: Uint8Array, at: number): DerNode {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) throw malformed("DER expected a tag and a length, got the end");
  if ((tag & 0x1f) === 0x1f) throw malformed("DER expected a tag of one byte");
  let length = first;
  let from = at + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw malformed("DER expected a length of at most four bytes");
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[from + i] ?? Number.NaN);
    if (Number.isNaN(length)) throw malformed("DER expected a length, got the end");
    if (length < 0x80 || length < 256 ** (count - 1)) {
      throw new AttestationError("attestation/not-canonical", "DER expected the shortest form of a length");
    }
    from += count;
  }
  if (from + length > bytes.length) throw malformed(`DER expected ${length} bytes, got ${bytes.length - from}`);
  const copy = Uint8Array.from(bytes.subarray(at, from + length));
  return { tag, content: copy.subarray(from - at), bytes: copy };
}

/**
 * Writes one DER value.
 *
 * @param tag - one of `tags`, or another byte
 * @param parts - what stands inside, one behind the other
 * @returns tag, length and content
 *
 * @example
 * ```ts
 * import { tags, writeDer } from "@parapet/attestation";
 * console.log(writeDer(tags.sequence, writeDer(tags.null)).join()); // => 48,2,5,0
 * ```
 */
export function writeDer(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = concatBytes(...parts);
  const digits: number[] = [];
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  const length = content.length < 0x80 ? [content.length] : [0x80 | digits.length, ...digits];
  return concatBytes(Uint8Array.of(tag, ...length), content);
}

/** A whole number >= 0 from its bytes, the largest first. */
export function writeDerInteger(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const digits = bytes.subarray(from);
  return (digits[0] ?? 0) >= 0x80 || digits.length === 0
    ? writeDer(tags.integer, Uint8Array.of(0), digits)
    : writeDer(tags.integer, digits);
}

/**
 * The bytes of a whole number >= 0, which must be in its shortest form; without the zero that keeps it positive.
 *
 * @throws AttestationError `attestation/malformed` or `attestation/not-canonical`
 *
 * @example
 * ```ts
 * import { readDer, readDerInteger } from "@parapet/attestation";
 * console.log(readDerInteger(readDer(Uint8Array.of(2, 2, 0, 200)))[0]); // => 200
 * ```
 */
export function readDerInteger(node: DerNode): Uint8Array<ArrayBuffer> {
  const { tag, content } = node;
  const [first, second = 0] = content;
  if (tag !== tags.integer || first === undefined) throw malformed("DER expected a whole number");
  if (first >= 0x80) throw malformed("DER expected a whole number >= 0");
  if (first === 0 && content.length > 1 && second < 0x80) {
    throw new AttestationError("attestation/not-canonical", "DER expected the shortest form of a number");
  }
  return first === 0 && content.length > 1 ? content.subarray(1) : content;
}

/**
 * An object identifier as numbers with dots between them.
 *
 * @throws AttestationError `attestation/malformed` or `attestation/not-canonical`
 *
 * @example
 * ```ts
 * import { readDer, readDerIdentifier } from "@parapet/attestation";
 * console.log(readDerIdentifier(readDer(Uint8Array.of(6, 3, 0x2b, 0x65, 0x70)))); // => 1.3.101.112
 * ```
 */
export function readDerIdentifier(node: DerNode): string {
  const { tag, content } = node;
  if (tag !== tags.objectIdentifier || content.length === 0 || content.length > 64 || content.at(-1)! >= 0x80) {
    throw malformed("DER expected an object identifier");
  }
  const numbers: number[] = [];
  let value = 0;
  for (const [i, byte] of content.entries()) {
    if (value === 0 && byte === 0x80)
      throw new AttestationError("attestation/not-canonical", "DER expected no zeros before an arc");
    value = value * 128 + (byte & 0x7f);
    if (value > Number.MAX_SAFE_INTEGER) throw malformed("DER expected smaller arcs of an object identifier");
    if (byte >= 0x80) continue;
    if (numbers.length === 0 && i >= 0) {
      const top = Math.min(2, Math.floor(value / 40));
      numbers.push(top, value - 40 * top);
    } else numbers.push(value);
    value = 0;
  }
  return numbers.join(".");
}

/** The object identifier with these numbers. */
export function writeDerIdentifier(dotted: string): Uint8Array<ArrayBuffer> {
  const [top = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [40 * top + second, ...rest].flatMap((arc) => {
    const digits = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift(0x80 | (left % 128));
    return digits;
  });
  return writeDer(tags.objectIdentifier, Uint8Array.from(bytes));
}

/**
 * The bytes of a bit string without unused bits.
 *
 * @throws AttestationError `attestation/malformed`
 *
 * @example
 * ```ts
 * import { readDer, readDerBits } from "@parapet/attestation";
 * console.log(readDerBits(readDer(Uint8Array.of(3, 2, 0, 7)))[0]); // => 7
 * ```
 */
export function readDerBits(node: DerNode): Uint8Array<ArrayBuffer> {
  if (node.tag !== tags.bitString || node.content[0] !== 0) throw malformed("DER expected a bit string of whole bytes");
  return node.content.subarray(1);
}
