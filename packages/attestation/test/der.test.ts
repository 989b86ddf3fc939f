import {
  AttestationError,
  concatBytes,
  derChildren,
  ecdsaFromDer,
  ecdsaToDer,
  fromHex,
  parseJson,
  parsePem,
  parseStatement,
  readDer,
  readDerBits,
  readDerIdentifier,
  readDerInteger,
  readEnvelope,
  readPublicKey,
  tags,
  toHex,
  toPem,
  toUtf8,
  writeDer,
} from "@parapet/attestation";
import { createRng, type Rng } from "@parapet/core";
import { describe, expect, it } from "vitest";

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return "none";
  } catch (error) {
    return error instanceof AttestationError ? error.code : String(error);
  }
};

describe("DER", () => {
  it("reads what it writes, at lengths of one to four bytes", () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536, 1 << 24]) {
      const node = readDer(writeDer(tags.octetString, new Uint8Array(length)));
      expect([node.tag, node.content.length]).toEqual([4, length]);
    }
  });

  it.each([
    ["", "attestation/malformed"],
    ["30", "attestation/malformed"],
    ["3001", "attestation/malformed"],
    ["300000", "attestation/malformed"],
    ["3080", "attestation/malformed"],
    ["30850000000001", "attestation/malformed"],
    ["1f0100", "attestation/malformed"],
    ["308100", "attestation/not-canonical"],
    [`30820001${"00"}`, "attestation/not-canonical"],
    [`30817f${"00".repeat(127)}`, "attestation/not-canonical"],
    [`308200ff${"00".repeat(255)}`, "attestation/not-canonical"],
  ])("refuses %.20s: %s", (hex, code) => {
    expect(codeOf(() => readDer(fromHex(hex)))).toBe(code);
  });

  it("has one form of a number", () => {
    const integer = (hex: string) => readDerInteger(readDer(fromHex(hex)));
    expect(toHex(integer("020100"))).toBe("00");
    expect(toHex(integer("02020080"))).toBe("80");
    expect(codeOf(() => integer("0200"))).toBe("attestation/malformed");
    expect(codeOf(() => integer("020180"))).toBe("attestation/malformed");
    expect(codeOf(() => integer("02020001"))).toBe("attestation/not-canonical");
    expect(codeOf(() => integer("0402"))).toBe("attestation/malformed");
  });

  it("reads identifiers and bits", () => {
    const identifier = (hex: string) => readDerIdentifier(readDer(fromHex(hex)));
    expect(identifier("06092a864886f70d010101")).toBe("1.2.840.113549.1.1.1");
    expect(identifier("0603883703")).toBe("2.999.3");
    expect(codeOf(() => identifier("060180"))).toBe("attestation/malformed");
    expect(codeOf(() => identifier("06022a80"))).toBe("attestation/malformed");
    expect(codeOf(() => identifier("06032a8001"))).toBe("attestation/not-canonical");
    expect(codeOf(() => readDerBits(readDer(fromHex("03020780"))))).toBe("attestation/malformed");
    expect(codeOf(() => derChildren(readDer(fromHex("0400"))))).toBe("attestation/malformed");
    expect(codeOf(() => derChildren(readDer(fromHex("3100")), tags.sequence))).toBe("attestation/malformed");
  });

  it("signatures come back, with zeros before and high bits", () => {
    for (const size of [32, 48, 66]) {
      for (const fill of [0, 1, 0x7f, 0x80, 0xff]) {
        const raw = new Uint8Array(2 * size).fill(fill);
        raw[0] = raw[size] = fill & 1;
        expect(toHex(ecdsaFromDer(ecdsaToDer(raw), size))).toBe(toHex(raw));
      }
    }
    expect(codeOf(() => ecdsaToDer(new Uint8Array(3)))).toBe("attestation/malformed");
    const large = writeDer(tags.integer, concatBytes(Uint8Array.of(1), new Uint8Array(32)));
    expect(codeOf(() => ecdsaFromDer(writeDer(tags.sequence, large, large), 32))).toBe("attestation/malformed");
    expect(codeOf(() => ecdsaFromDer(writeDer(tags.sequence, large, large, large), 48))).toBe("attestation/malformed");
  });
});

describe("PEM", () => {
  it("reads several blocks, with text around them and either end of line", () => {
    const text = `Subject: somebody\n${toPem("A", Uint8Array.of(1))}\r\n${toPem("B C", new Uint8Array(100)).replaceAll("\n", "\r\n")}end`;
    expect(parsePem(text).map(({ label, bytes }) => [label, bytes.length])).toEqual([
      ["A", 1],
      ["B C", 100],
    ]);
  });

  it.each([
    "",
    "AQ==",
    "-----BEGIN A-----\nAQ==",
    "-----BEGIN A-----\nAQ==\n-----END B-----",
    "-----END A-----",
    "-----BEGIN A-----\n-----BEGIN A-----\n-----END A-----",
    "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAQ==\n-----END A-----",
    "-----BEGIN A-----\nAQ=\n-----END A-----",
  ])("refuses %j", (text) => {
    expect(codeOf(() => parsePem(text))).toBe("attestation/malformed");
  });

  it("has a limit", () => {
    expect(codeOf(() => parsePem(" ".repeat((1 << 20) + 1)))).toBe("attestation/too-large");
  });
});

// Hostile bytes: good ones with some bytes changed, cut, doubled or put elsewhere, and random ones.
describe("damaged input gets a typed error or is read, and nothing else happens", () => {
  const runs = Number(process.env.PARAPET_FUZZ ?? 3000);
  const key = fromHex(
    "3059301306072a8648ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" +
      "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
  );
  const envelope = toUtf8('{"payload":"aGVsbG8=","payloadType":"a/b","signatures":[{"sig":"AAEC","keyid":null}]}');
  const statement = toUtf8(
    `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"${"ab".repeat(32)}"}}],"predicateType":"b","predicate":{"c":[1,true]}}`,
  );
  const changed = (good: Uint8Array, rng: Rng): Uint8Array => {
    let bytes = Array.from(good);
    const pick = (below: number) => Math.floor(rng.next() * below);
    for (let edits = 1 + pick(4); edits > 0; edits--) {
      const at = pick(bytes.length + 1);
      const kind = pick(6);
      if (kind === 0) bytes[at % Math.max(1, bytes.length)] = pick(256);
      else if (kind === 1) bytes = bytes.slice(0, at);
      else if (kind === 2) bytes.splice(at, pick(8));
      else if (kind === 3) bytes.splice(at, 0, ...Array.from({ length: pick(8) }, () => pick(256)));
      else if (kind === 4) bytes.splice(at, 0, ...bytes.slice(pick(bytes.length + 1), pick(bytes.length + 1)));
      else if (bytes.length > 0) bytes[at % bytes.length]! ^= 1 << pick(8);
    }
    return Uint8Array.from(bytes);
  };
  const latin = (bytes: Uint8Array) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

  it.each<[string, Uint8Array, (bytes: Uint8Array) => unknown]>([
    ["DER", key, (bytes) => derChildren(readDer(bytes)).map((node) => (node.tag & 0x20) !== 0 && derChildren(node))],
    ["public key", key, (bytes) => readPublicKey(bytes)],
    ["PEM", toUtf8(toPem("PUBLIC KEY", key)), (bytes) => parsePem(latin(bytes))],
    ["envelope", envelope, (bytes) => readEnvelope(parseJson(bytes))],
    ["statement", statement, (bytes) => parseStatement(bytes)],
  ])(
    "%s",
    async (name, good, read) => {
      await read(good);
      const rng = createRng(7).derive(name);
      const others: unknown[] = [];
      for (let i = 0; i < runs; i++) {
        try {
          await read(changed(good, rng));
        } catch (error) {
          if (!(error instanceof AttestationError)) others.push(error);
        }
      }
      expect(others).toEqual([]);
    },
    600_000,
  );
});
