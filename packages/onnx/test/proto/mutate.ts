/** Mutations of ONNX files for the fuzzer: of bytes, and of the fields they mean. Own randomness, so that it is small in a worker. */
export type Random = (below: number) => number;

/** Mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

interface Field {
  number: number;
  wire: number;
  value: bigint | number[] | Field[];
  /** Which message the fields inside belong to. */
  kind: string | undefined;
}

/** The messages inside of messages: enough of the format to change it knowingly. */
const CHILDREN: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  model: { 7: "graph", 8: "leaf", 25: "leaf" },
  graph: { 1: "node", 5: "tensor", 11: "info", 12: "info", 13: "info", 15: "leaf" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph" },
  info: { 2: "type" },
  type: { 1: "tensorType", 4: "leaf" },
  tensorType: { 2: "shape" },
  shape: { 1: "leaf" },
  tensor: { 13: "leaf" },
  leaf: {},
};

const HOSTILE = [
  0n,
  1n,
  2n,
  127n,
  128n,
  255n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];

function parse(bytes: Uint8Array, kind: string): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    const number = tag >>> 3;
    if (wire === 0) fields.push({ number, wire, value: varint(), kind: undefined });
    else {
      const length = wire === 2 ? Number(varint()) : wire === 1 ? 8 : 4;
      const content = bytes.subarray(at, at + length);
      at += length;
      const child = wire === 2 ? CHILDREN[kind]![number] : undefined;
      fields.push({ number, wire, value: child === undefined ? [...content] : parse(content, child), kind: child });
    }
  }
  return fields;
}

function putVarint(out: number[], value: bigint): void {
  let rest = BigInt.asUintN(64, value);
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
}

function print(fields: readonly Field[]): number[] {
  const out: number[] = [];
  for (const { number, wire, value } of fields) {
    putVarint(out, BigInt(number * 8 + wire));
    if (typeof value === "bigint") {
      putVarint(out, value);
      continue;
    }
    const content = typeof value[0] === "object" ? print(value as Field[]) : (value as number[]);
    if (wire === 2) putVarint(out, BigInt(content.length));
    for (const byte of content) out.push(byte);
  }
  return out;
}

function flatten(fields: Field[], into: { field: Field; siblings: Field[] }[] = []) {
  for (const field of fields) {
    into.push({ field, siblings: fields });
    if (field.kind !== undefined) flatten(field.value as Field[], into);
  }
  return into;
}

/** Changes fields and writes them with the right lengths: most of these files still decode up to the change. */
function mutateFields(seed: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  const root = parse(seed, "model");
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const all = flatten(root);
    if (all.length === 0) break;
    const { field, siblings } = all[random(all.length)]!;
    const index = siblings.indexOf(field);
    const choice = random(9);
    if (choice === 0) siblings.splice(index, 1);
    else if (choice === 1) siblings.splice(random(siblings.length + 1), 0, structuredClone(field));
    else if (choice === 2) siblings.splice(index, 0, ...siblings.splice(random(siblings.length), 1));
    else if (choice === 3) field.number = 1 + random(26);
    else if (choice === 4) {
      const donors = flatten(parse(other, "model")).filter((each) => each.field.kind === field.kind);
      if (donors.length > 0) siblings[index] = { ...donors[random(donors.length)]!.field, number: field.number };
    } else if (typeof field.value === "bigint") {
      field.value = choice < 7 ? HOSTILE[random(HOSTILE.length)]! : field.value + BigInt(random(5) - 2);
    } else if (field.kind === undefined) {
      const content = field.value as number[];
      if (choice === 5) content.splice(random(content.length + 1), 0, random(256));
      else if (choice === 6) content.splice(random(content.length + 1), 1 + random(4));
      else if (content.length > 0) content[random(content.length)] = random(256);
    } else if (choice < 7) {
      siblings[index] = {
        number: field.number,
        wire: field.wire,
        value: [...print(field.value as Field[]), random(256)],
        kind: undefined,
      };
    } else (field.value as Field[]).reverse();
  }
  return Uint8Array.from(print(root));
}

/** Changes bytes, whatever they mean. */
function mutateBytes(seed: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let bytes = [...seed];
  for (let changes = 1 + random(4); changes > 0; changes--) {
    const at = random(bytes.length + 1);
    const choice = random(8);
    if (choice === 0) bytes[at % bytes.length]! ^= 1 << random(8);
    else if (choice === 1) bytes[at % bytes.length] = random(256);
    else if (choice === 2) bytes = bytes.slice(0, at);
    else if (choice === 3) bytes.splice(at, random(16));
    else if (choice === 4) bytes.splice(at, 0, ...other.subarray(random(other.length), random(other.length)));
    else if (choice === 5) bytes.splice(at, 0, ...bytes.slice(random(bytes.length), random(bytes.length)));
    else if (choice === 6) {
      const varint: number[] = [];
      putVarint(varint, HOSTILE[random(HOSTILE.length)]!);
      bytes.splice(at, random(3), ...varint);
    } else bytes.splice(at, 1, ...Array<number>(8 + random(5)).fill(255), random(2));
    if (bytes.length === 0) break;
  }
  return Uint8Array.from(bytes);
}

/** A file that is `seed` but for a few changes, some of them taken from `other`. */
export function mutate(seed: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  return random(2) === 0 ? mutateFields(seed, other, random) : mutateBytes(seed, other, random);
}
