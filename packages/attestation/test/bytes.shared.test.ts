import {
  compareUtf8,
  concatBytes,
  equalBytes,
  fromBase64,
  fromHex,
  fromUtf8,
  sha256,
  toBase64,
  toHex,
  toUtf8,
} from "@parapet/attestation";
import { sha256 as small } from "@parapet/attestation/small";
import { describe, expect, it } from "vitest";

const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 167 + (i >> 8)) % 256);

describe("base64", () => {
  it("gives the vectors of RFC 4648, section 10", () => {
    const texts = {
      "": "",
      f: "Zg==",
      fo: "Zm8=",
      foo: "Zm9v",
      foob: "Zm9vYg==",
      fooba: "Zm9vYmE=",
      foobar: "Zm9vYmFy",
    };
    for (const [text, encoded] of Object.entries(texts)) {
      expect(toBase64(toUtf8(text))).toBe(encoded);
      expect(fromUtf8(fromBase64(encoded))).toBe(text);
    }
  });

  it("comes back at every length, also beyond the pieces in which it is written", () => {
    for (const length of [...Array(70).keys(), 0x3000 - 1, 0x3000, 0x3001, 100_000]) {
      expect(equalBytes(fromBase64(toBase64(bytes(length))), bytes(length))).toBe(true);
    }
  });

  it.each(["A", "AA", "AAA", "====", "A===", "AA=A", "=AAA", "AA==AAAA", "AA A", "AAA\n", "AA-_", "AAAé"])(
    "refuses %j",
    (text) => {
      expect(() => fromBase64(text)).toThrow(expect.objectContaining({ code: "attestation/malformed" }));
    },
  );

  it("has one text for one value: every other last letter is refused", () => {
    const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const read = (text: string) => {
      try {
        return fromBase64(text).length;
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const twos = [...letters].map((letter) => read(`A${letter}==`));
    const ones = [...letters].map((letter) => read(`AA${letter}=`));
    expect(twos.filter((result) => result === 1).length).toBe(4);
    expect(ones.filter((result) => result === 2).length).toBe(16);
    expect([...twos, ...ones].filter((result) => result === "attestation/not-canonical").length).toBe(60 + 48);
  });
});

describe("hexadecimal digits and UTF-8", () => {
  it("comes back", () => {
    expect(toHex(fromHex("00ff10ab"))).toBe("00ff10ab");
    expect(concatBytes(fromHex("00"), fromHex("ff")).join()).toBe("0,255");
  });

  it.each(["0", "0g", "AB", " 0", "0x00"])("refuses %j", (text) => {
    expect(() => fromHex(text)).toThrow(expect.objectContaining({ code: "attestation/malformed" }));
  });

  it("refuses what is no UTF-8, keeps a byte order mark, and has none for half a surrogate pair", () => {
    for (const bad of [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xff], [0xc3], [0xf4, 0x90, 0x80, 0x80]]) {
      expect(() => fromUtf8(Uint8Array.from(bad))).toThrow(expect.objectContaining({ code: "attestation/malformed" }));
    }
    expect(fromUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\ufeffa");
    for (const half of ["\ud800", "a\udc00", "\ud800\ud800\udc00", "\udc00\ud800"]) {
      expect(() => toUtf8(half)).toThrow(expect.objectContaining({ code: "attestation/malformed" }));
    }
    expect(toUtf8("\u{1f600}").length).toBe(4);
  });

  it("orders text as its UTF-8 bytes", () => {
    const texts = [
      "",
      "a",
      "ab",
      "b",
      "\u007f",
      "\u0080",
      "\u07ff",
      "\ud7ff",
      "\ue000",
      "\uffff",
      "\u{10000}",
      "\u{10ffff}",
    ];
    const byBytes = (a: string, b: string) => {
      const [x, y] = [toUtf8(a), toUtf8(b)];
      for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
      return x.length - y.length;
    };
    for (const a of texts) for (const b of texts) expect(Math.sign(compareUtf8(a, b))).toBe(Math.sign(byBytes(a, b)));
  });
});

describe("SHA-256", () => {
  it("gives the vectors of FIPS 180", async () => {
    const cases = {
      "": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      abc: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
      abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq:
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    };
    for (const [text, digest] of Object.entries(cases)) {
      expect(toHex(await sha256(toUtf8(text)))).toBe(digest);
      expect(toHex(small(toUtf8(text)))).toBe(digest);
    }
  });

  it("is the same in JavaScript as by the platform, at every length around a block", async () => {
    for (const length of [...Array(130).keys(), 1000, 65_537]) {
      expect(toHex(small(bytes(length)))).toBe(toHex(await sha256(bytes(length))));
    }
  });
});
