import { fromUtf8 } from "@parapet/attestation";
import { typed } from "./byte-source.ts";
import { malformed, tooLarge } from "./errors.ts";

/** How many fields a scan may pass over in all. */
export interface FieldBudget {
  left: number;
}

/**
 * Passes over one message of protobuf, without copying anything: `while (scan.next())`, then `scan.message()`, `text()` or
 * `integer()` for the field that `scan.field` names; what is not asked for is passed over.
 */
export class Scan {
  field = 0;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #budget: FieldBudget;
  #at: number;
  #wire = 0;
  #value = 0n;
  #start = 0;

  constructor(bytes: Uint8Array, budget: FieldBudget, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#budget = budget;
    this.#at = start;
    this.#end = end;
  }

  /** Goes to the next field; false at the end of the message. */
  next(): boolean {
    if (this.#at >= this.#end) return false;
    if (--this.#budget.left < 0) throw tooLarge("file", "fewer fields", "more");
    const at = this.#at;
    const tag = this.#varint();
    this.#wire = Number(tag & 7n);
    this.field = Number(tag >> 3n);
    if (tag > 0xffffffffn || this.field === 0) throw malformed(`tag at byte ${at}`, "a number of a field", `${tag}`);
    this.#start = this.#at;
    if (this.#wire === 0) this.#value = this.#varint();
    else if (this.#wire === 2) {
      const length = this.#varint();
      this.#start = this.#at;
      this.#take(length, at);
    } else if (this.#wire === 1 || this.#wire === 5) this.#take(this.#wire === 1 ? 8n : 4n, at);
    else throw malformed(`field ${this.field} at byte ${at}`, "a type of field that ONNX has", `type ${this.#wire}`);
    return true;
  }

  /** A message inside. */
  message(): Scan {
    this.#is(2);
    return new Scan(this.#bytes, this.#budget, this.#start, this.#at);
  }

  /** Bytes of the field. */
  get length(): number {
    this.#is(2);
    return this.#at - this.#start;
  }

  text(maxBytes = 1 << 16): string {
    if (this.length > maxBytes) throw tooLarge(`text at byte ${this.#start}`, `at most ${maxBytes} bytes`, this.length);
    return typed(`text at byte ${this.#start}`, () => fromUtf8(this.#bytes.subarray(this.#start, this.#at)));
  }

  /** A signed integer. */
  integer(): bigint {
    this.#is(0);
    return BigInt.asIntN(64, this.#value);
  }

  /** Signed integers, one or packed. */
  integers(most: number): readonly bigint[] {
    if (this.#wire === 0) return [this.integer()];
    const inner = this.message();
    const values: bigint[] = [];
    while (inner.#at < inner.#end) {
      if (values.length >= most) throw tooLarge(`list at byte ${this.#start}`, `at most ${most} numbers`, "more");
      values.push(BigInt.asIntN(64, inner.#varint()));
    }
    return values;
  }

  #is(wire: number): void {
    if (this.#wire !== wire)
      throw malformed(`field ${this.field} at byte ${this.#start}`, `type ${wire}`, `type ${this.#wire}`);
  }

  #take(length: bigint, at: number): void {
    const left = this.#end - this.#at;
    if (length > BigInt(left))
      throw malformed(`field at byte ${at}`, `at most the ${left} bytes that follow`, `${length}`);
    this.#at += Number(length);
  }

  #varint(): bigint {
    const start = this.#at;
    // Nearly all have one byte, and numbers are faster than wide integers.
    let low = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.#byte(start);
      low |= (byte & 127) << (7 * i);
      if (byte < 128) return BigInt(low);
    }
    let value = BigInt(low);
    for (let i = 4; i < 10; i++) {
      const byte = this.#byte(start);
      value |= BigInt(byte & 127) << BigInt(7 * i);
      if (byte < 128 && (i < 9 || byte < 2)) return value;
    }
    throw malformed(`number at byte ${start}`, "at most 64 bits", "more");
  }

  #byte(start: number): number {
    if (this.#at >= this.#end) throw malformed(`number at byte ${start}`, "more bytes", "the end");
    return this.#bytes[this.#at++]!;
  }
}
