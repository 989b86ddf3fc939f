import { malformed, tooLarge } from "../problem.ts";

/** How protobuf stores a field: the low three bits of its tag. */
const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const WIRE_NAMES = ["a varint", "8 bytes", "a length and bytes", "a group", "a group's end", "4 bytes"];
/** Names, attributes and strings of tensors; engines refuse strings beyond half a gigabyte with errors of their own. */
const LONGEST_STRING = 2 ** 28;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads one protobuf message: `while (reader.next())`, then one method for the field `reader.field`. Nothing is read
 * outside of the message, and nothing is allocated that is longer than what is there.
 */
export class Reader {
  /** Number of the field that `next` found. */
  field = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position: number;
  #end: number;
  #wire = 0;
  /** Halves of the varint that was read last. */
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length, view?: DataView) {
    this.#bytes = bytes;
    this.#view = view ?? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#position = start;
    this.#end = end;
  }

  /** The same message once more, from `position` on. */
  copy(): Reader {
    return new Reader(this.#bytes, this.#position, this.#end, this.#view);
  }

  /** Where in the file the reader stands. */
  get position(): number {
    return this.#position;
  }

  /** Bytes that are left in the message. */
  get left(): number {
    return this.#end - this.#position;
  }

  /** Goes to the next field; false at the end of the message. */
  next(): boolean {
    if (this.#position >= this.#end) return false;
    const at = this.#position;
    this.#varint();
    this.#wire = this.#low & 7;
    this.field = this.#low >>> 3;
    if (this.#high !== 0 || this.field === 0)
      throw malformed(`tag at byte ${at}`, "a field number of 1 to 2^29 - 1", this.field);
    if (this.#wire > 5 || this.#wire === 3 || this.#wire === 4)
      throw malformed(
        `field ${this.field} at byte ${at}`,
        "wire type 0, 1, 2 or 5",
        WIRE_NAMES[this.#wire] ?? this.#wire,
      );
    return true;
  }

  /** Passes over the field. */
  skip(): void {
    if (this.#wire === WIRE.varint) this.#varint();
    else if (this.#wire === WIRE.bytes) this.#take(this.#length());
    else this.#take(this.#wire === WIRE.fixed64 ? 8 : 4);
  }

  /** A signed integer: a number where that is exact. */
  integer(): number | bigint {
    this.#is(WIRE.varint);
    return this.#integer();
  }

  /** The low half of a varint, signed, as protobuf reads 32-bit integers and enumerations. */
  int32(): number {
    this.#is(WIRE.varint);
    this.#varint();
    return this.#low;
  }

  float(): number {
    this.#is(WIRE.fixed32);
    return this.#view.getFloat32(this.#take(4), true);
  }

  /** A view of the file. */
  bytes(): Uint8Array {
    this.#is(WIRE.bytes);
    const length = this.#length();
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  string(): string {
    const at = this.#position;
    const bytes = this.bytes();
    if (bytes.length > LONGEST_STRING)
      throw tooLarge(`text at byte ${at}`, `at most ${LONGEST_STRING} bytes`, bytes.length);
    try {
      return utf8.decode(bytes);
    } catch {
      throw malformed(`text at byte ${at}`, "UTF-8", "other bytes");
    }
  }

  /** A message inside. */
  message(): Reader {
    this.#is(WIRE.bytes);
    const length = this.#length();
    const start = this.#take(length);
    return new Reader(this.#bytes, start, this.#position, this.#view);
  }

  /** Repeated integers, packed or one at a time. */
  integers(each: (value: number | bigint) => void): void {
    this.#repeated(WIRE.varint, () => each(this.#integer()));
  }

  /** Repeated 32-bit integers. */
  int32s(each: (value: number) => void): void {
    this.#repeated(WIRE.varint, () => {
      this.#varint();
      each(this.#low);
    });
  }

  /** Repeated 64-bit integers, signed; `BigUint64Array` takes them as unsigned ones. */
  int64s(each: (value: bigint) => void): void {
    this.#repeated(WIRE.varint, () => {
      this.#varint();
      each(this.#wide());
    });
  }

  floats(each: (value: number) => void): void {
    this.#repeated(WIRE.fixed32, () => each(this.#view.getFloat32(this.#take(4), true)));
  }

  doubles(each: (value: number) => void): void {
    this.#repeated(WIRE.fixed64, () => each(this.#view.getFloat64(this.#take(8), true)));
  }

  #repeated(wire: number, one: () => void): void {
    if (this.#wire !== WIRE.bytes) {
      this.#is(wire);
      one();
      return;
    }
    const end = this.#end;
    const length = this.#length();
    this.#end = this.#position + length;
    while (this.#position < this.#end) one();
    this.#end = end;
  }

  #integer(): number | bigint {
    this.#varint();
    const value = this.#high * 2 ** 32 + (this.#low >>> 0);
    return Number.isSafeInteger(value) ? value : this.#wide();
  }

  #wide(): bigint {
    return (BigInt(this.#high) << 32n) | BigInt(this.#low >>> 0);
  }

  #is(wire: number): void {
    if (this.#wire !== wire)
      throw malformed(`field ${this.field} at byte ${this.#position}`, WIRE_NAMES[wire]!, WIRE_NAMES[this.#wire]);
  }

  /** Passes over `size` bytes; where they begin. */
  #take(size: number): number {
    const at = this.#position;
    if (size > this.left) throw malformed(`field ${this.field} at byte ${at}`, `${size} bytes more`, this.left);
    this.#position += size;
    return at;
  }

  /** A length that fits. */
  #length(): number {
    const at = this.#position;
    this.#varint();
    const length = (this.#high >>> 0) * 2 ** 32 + (this.#low >>> 0);
    if (length > this.left)
      throw malformed(`length at byte ${at}`, `at most the ${this.left} bytes that are left`, length);
    return length;
  }

  #varint(): void {
    const start = this.#position;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#position >= this.#end) throw malformed(`varint at byte ${start}`, "more bytes", "the end");
      const byte = this.#bytes[this.#position++]!;
      const bits = byte & 127;
      if (shift < 32) low |= bits << shift;
      if (shift === 28) high = bits >>> 4;
      if (shift > 32) high |= bits << (shift - 32);
      if (byte < 128) {
        if (shift === 63 && bits > 1) break;
        this.#low = low;
        this.#high = high;
        return;
      }
    }
    throw malformed(`varint at byte ${start}`, "at most 64 bits in 10 bytes", "more");
  }
}

const encoder = new TextEncoder();

/** Writes one protobuf message. Byte arrays and messages inside are kept by reference until `finish` copies them once. */
export class Writer {
  /** Length of the message so far. */
  length = 0;
  readonly #parts: Uint8Array[] = [];
  #pending: number[] = [];

  /** A signed integer; a negative one takes ten bytes, as protobuf has it. */
  integer(field: number, value: number | bigint): this {
    this.#tag(field, WIRE.varint);
    this.#varint(value);
    return this;
  }

  float(field: number, value: number): this {
    this.#tag(field, WIRE.fixed32);
    this.#push(new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, WIRE.bytes);
    this.#varint(value.length);
    this.#push(value);
    return this;
  }

  string(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  message(field: number, value: Writer): this {
    this.#tag(field, WIRE.bytes);
    this.#varint(value.length);
    value.#flush();
    for (const part of value.#parts) this.#push(part);
    return this;
  }

  finish(): Uint8Array {
    this.#flush();
    const bytes = new Uint8Array(this.length);
    let position = 0;
    for (const part of this.#parts) {
      bytes.set(part, position);
      position += part.length;
    }
    return bytes;
  }

  #push(part: Uint8Array): void {
    if (part.length <= 64) {
      for (const byte of part) this.#pending.push(byte);
    } else {
      this.#flush();
      this.#parts.push(part);
    }
    this.length += part.length;
  }

  #flush(): void {
    if (this.#pending.length > 0) this.#parts.push(Uint8Array.from(this.#pending));
    this.#pending = [];
  }

  #tag(field: number, wire: number): void {
    this.#varint(field * 8 + wire);
  }

  #varint(value: number | bigint): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    do {
      const bits = Number(rest & 127n);
      rest >>= 7n;
      this.#pending.push(rest > 0n ? bits | 128 : bits);
      this.length++;
    } while (rest > 0n);
  }
}
