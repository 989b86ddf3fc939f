import { concatBytes } from "@parapet/attestation";
import type { ByteSource } from "./byte-source.ts";
import { malformed, tooLarge, unsupported } from "./errors.ts";

/** One file of an archive. */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly packed: number;
  readonly size: number;
  /** Where its local header begins. */
  readonly at: number;
}

/** Files of an archive. */
const ENTRIES = 1 << 16;
/** Bytes that something packed may take beyond those that are asked for. */
const SLACK = 1 << 16;
/** Bytes of its list of files. */
const DIRECTORY = 1 << 25;

/** Bytes behind which the end of an archive lies: a comment, and what it says of itself in one way or the other. */
const TAIL = 0xffff + 22 + 20 + 56;

/**
 * The list of files of a zip archive, as its readers find it: from the end, whatever lies before. Undefined when there is none.
 */
export async function readZip({ size, read }: ByteSource): Promise<readonly ZipEntry[] | undefined> {
  const tail = await read(Math.max(0, size - TAIL), size);
  const end = new DataView(tail.buffer, tail.byteOffset, tail.length);
  let at = tail.length - 22;
  while (at >= 0 && end.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0) return undefined;
  let [count, length, start] = [
    end.getUint16(at + 10, true),
    end.getUint32(at + 12, true),
    end.getUint32(at + 16, true),
  ];
  const head = await read(0, 2);
  const isArchive = head[0] === 0x50 && head[1] === 0x4b;
  const differs = (expected: string, got: string) => malformed("zip archive", `one list of files, ${expected}`, got);
  // A wide archive: a pointer of 20 bytes, and before it 56 with wide numbers.
  const wide = at - 76;
  const hasPointer = at >= 20 && end.getUint32(at - 20, true) === 0x07064b50;
  if (hasPointer && isArchive && end.getBigUint64(at - 12, true) !== BigInt(size - tail.length + wide))
    throw differs("whose end lies where the pointer to it says", "a pointer to something else");
  if (wide >= 0 && hasPointer && end.getUint32(wide, true) === 0x06064b50) {
    const [a, b, c] = [32, 40, 48].map((from) => Number(end.getBigUint64(wide + from, true)));
    const isNarrow = [count - a!, length - b!, start - c!].every((difference) => difference === 0);
    const isWide = count === 0xffff || length === 0xffffffff || start === 0xffffffff;
    if (isArchive && !isNarrow && !isWide) throw differs("in both of its ends", "two");
    [count, length, start] = [a!, b!, c!];
    at = wide;
  }
  // The list lies right before its end; when that is not where it is said to be, all of the archive was moved.
  const from = size - tail.length + at - length;
  const moved = from - start;
  const isThere = from >= 0 && moved >= 0;
  if (count === 0 && length === 0 && isThere) return [];
  const first = isThere && length >= 46 ? await read(from, from + 4) : new Uint8Array();
  if (first[0] !== 0x50 || first[1] !== 0x4b || first[2] !== 1 || first[3] !== 2) return undefined;
  if (moved > 0 && isArchive) throw differs(`at ${start}`, `another one ${moved} bytes later`);
  if (count > ENTRIES || length > DIRECTORY) throw tooLarge("zip archive", `at most ${ENTRIES} files`, count);
  const bytes = await read(from, from + length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const entries: ZipEntry[] = [];
  for (let at = 0; at < length; ) {
    if (at + 46 > length || view.getUint32(at, true) !== 0x02014b50)
      throw malformed("zip archive", `a file at ${at} of its list`, "something else");
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((from) => view.getUint16(at + from, true));
    const next = at + 46 + nameLength! + extraLength! + commentLength!;
    if (next > length) throw malformed("zip archive", "names that end in its list", "one that does not");
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength!));
    const method = view.getUint16(at + 10, true);
    const sizes = [24, 20, 42].map((from) => view.getUint32(at + from, true));
    widen(view, at + 46 + nameLength!, extraLength!, sizes);
    entries.push({ name, method, size: sizes[0]!, packed: sizes[1]!, at: moved + sizes[2]! });
    at = next;
  }
  if (entries.length !== count) throw malformed("zip archive", `${count} files`, `${entries.length}`);
  return entries;
}

/** Puts numbers of 64 bits where those of 32 say that they are too small. */
function widen(view: DataView, from: number, length: number, sizes: number[]): void {
  for (let at = from; at + 4 <= from + length; ) {
    const [id, size] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    at += 4;
    if (id === 1) {
      let field = at;
      sizes.forEach((value, i) => {
        if (value !== 0xffffffff || field + 8 > Math.min(at + size, from + length)) return;
        sizes[i] = Number(view.getBigUint64(field, true));
        field += 8;
      });
    }
    at += size;
  }
}

/** The beginning of a file in an archive, unpacked. */
export async function readZipEntry({ size, read }: ByteSource, entry: ZipEntry, most: number): Promise<Uint8Array> {
  const where = "zip archive";
  if (entry.at + 30 > size) throw malformed(where, "its files in it", "one elsewhere");
  const local = await read(entry.at, entry.at + 30);
  const view = new DataView(local.buffer, local.byteOffset, 30);
  if (view.getUint32(0, true) !== 0x04034b50) throw malformed(where, "a file where its list says", "something else");
  const start = entry.at + 30 + view.getUint16(26, true) + view.getUint16(28, true);
  if (start + entry.packed > size) throw malformed(where, "its files in it", "one elsewhere");
  if (entry.method === 0) return read(start, start + Math.min(entry.packed, most));
  if (entry.method !== 8) throw unsupported(where, "files that are stored or deflated", `method ${entry.method}`);
  const packed = await read(start, start + Math.min(entry.packed, most + SLACK));
  const bytes = await unpack(packed, "deflate-raw", most);
  if (bytes.length < Math.min(most, entry.size) && packed.length < entry.packed)
    throw unsupported(where, "files that unpack to more than they take", "one that does not");
  return bytes;
}

/** What the beginning of something packed unpacks to, or as much of it as can be; at most so many bytes. */
export async function unpack(packed: Uint8Array, format: CompressionFormat, most: number): Promise<Uint8Array> {
  const stream = new DecompressionStream(format);
  const writer = stream.writable.getWriter();
  // What does not unpack shows where it is read.
  writer.write(Uint8Array.from(packed)).catch(() => {});
  writer.close().catch(() => {});
  const reader = stream.readable.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    while (length < most) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value.subarray(0, most - length));
      length += parts.at(-1)!.length;
    }
  } catch {
    // It was cut off, or is no such thing: what came before it counts.
  } finally {
    await reader.cancel().catch(() => {});
  }
  return concatBytes(...parts);
}
