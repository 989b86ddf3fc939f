import { canonicalJson, fromUtf8, type Json, olpcJson, parseJson, toUtf8 } from "@parapet/attestation";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

const code = (run: () => unknown): string => {
  try {
    run();
    return "none";
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
};

describe("parseJson", () => {
  it("reads what JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 2, "\t"), (value, space) => {
        const text = JSON.stringify(value, undefined, space);
        const exact = JSON.stringify(JSON.parse(text), (_, v) =>
          Number.isInteger(v) && !Number.isSafeInteger(v) ? 0.5 : v,
        );
        fc.pre(exact === JSON.stringify(value) && !/\\ud[89a-f]/i.test(text));
        expect(parseJson(text)).toEqual(JSON.parse(text));
        expect(parseJson(toUtf8(text))).toEqual(JSON.parse(text));
      }),
      { seed: 1, numRuns: 2000 },
    );
  });

  it("refuses all that JSON.parse refuses, with a typed error", () => {
    const letters = fc.constantFrom(...'{}[]":,0129.-+eEtrufalsn \n\t\\/bu"\'xé\u0000\ufeff');
    const text = fc.array(letters, { maxLength: 12 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, (source) => {
        let valid = true;
        try {
          JSON.parse(source);
        } catch {
          valid = false;
        }
        const got = code(() => parseJson(source));
        if (!valid) expect(got).toBe("attestation/malformed");
      }),
      { seed: 2, numRuns: Number(process.env.PARAPET_FUZZ ?? 5000) },
    );
  });

  it.each([
    ['{"a":1,"a":1}', "attestation/not-canonical"],
    ['{"a":1,"\\u0061":2}', "attestation/not-canonical"],
    ['{"b":{"__proto__":1,"__proto__":2}}', "attestation/not-canonical"],
    ["9007199254740993", "attestation/malformed"],
    ["-9007199254740992", "attestation/malformed"],
    ["1e400", "attestation/malformed"],
    ['"\\ud800"', "attestation/malformed"],
    ['{"\\udc00":1}', "attestation/malformed"],
    ["\ufeff1", "attestation/malformed"],
    ["01", "attestation/malformed"],
    ["", "attestation/malformed"],
    ["1 2", "attestation/malformed"],
    ['"a', "attestation/malformed"],
    ['"a\\', "attestation/malformed"],
    ["[".repeat(66), "attestation/too-large"],
    ["[".repeat(1_000_000), "attestation/too-large"],
  ])("%.40j is %s", (text, expected) => {
    expect(code(() => parseJson(text))).toBe(expected);
  });

  it("keeps __proto__ a name", () => {
    const value = parseJson('{"__proto__": {"polluted": true}}') as { polluted?: boolean };
    expect(value.polluted).toBeUndefined();
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(fromUtf8(canonicalJson(value as Json))).toBe('{"__proto__":{"polluted":true}}');
  });

  it("has limits", () => {
    expect(code(() => parseJson("[1,2]", { maxBytes: 4 }))).toBe("attestation/too-large");
    expect(code(() => parseJson("[[1]]", { maxDepth: 1 }))).toBe("attestation/too-large");
    expect(parseJson("[[1]]", { maxDepth: 2 })).toEqual([[1]]);
  });
});

describe("canonicalJson", () => {
  it("gives the examples of RFC 8785", () => {
    // Section 3.2.2 and 3.2.3.
    const source = String.raw`{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}`;
    expect(fromUtf8(canonicalJson(parseJson(source)))).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    const names = String.raw`{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"}`;
    expect(Object.values(JSON.parse(fromUtf8(canonicalJson(parseJson(names)))))).toEqual([
      "One", // whole numbers come first in an object of JavaScript, in the text they come second
      "Carriage Return",
      "Control",
      "Latin Small Letter O With Diaeresis",
      "Euro Sign",
      "Emoji: Grinning Face",
      "Hebrew Letter Dalet With Dagesh",
    ]);
    expect(fromUtf8(canonicalJson(parseJson(names))).slice(0, 24)).toBe('{"\\r":"Carriage Return",');
  });

  it("gives the numbers of RFC 8785, appendix B", () => {
    const bits = (hex: string) => new Float64Array(BigUint64Array.of(BigInt(`0x${hex}`)).buffer)[0]!;
    const numbers = {
      "0000000000000000": "0",
      "8000000000000000": "0",
      "0000000000000001": "5e-324",
      "7fefffffffffffff": "1.7976931348623157e+308",
      "4340000000000000": "9007199254740992",
      "4430000000000000": "295147905179352830000",
      "44b52d02c7e14af5": "9.999999999999997e+22",
      "444b1ae4d6e2ef50": "1e+21",
      "3eb0c6f7a0b5ed8d": "0.000001",
      "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
      "41b3de4355555555": "333333333.3333333",
      becbf647612f3696: "-0.0000033333333333333333",
      "43143ff3c1cb0959": "1424953923781206.2",
    };
    for (const [hex, text] of Object.entries(numbers)) expect(fromUtf8(canonicalJson(bits(hex)))).toBe(text);
    expect(code(() => canonicalJson(Number.NaN))).toBe("attestation/malformed");
    expect(code(() => canonicalJson([Number.POSITIVE_INFINITY]))).toBe("attestation/malformed");
    expect(code(() => canonicalJson("\ud800"))).toBe("attestation/malformed");
  });

  it("does not depend on the order of names, and comes back", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, noUnicodeString: true }), (value) => {
        const text = fromUtf8(canonicalJson(value as Json));
        const turned = JSON.parse(text, (_, v) =>
          v !== null && typeof v === "object" && !Array.isArray(v)
            ? Object.fromEntries(Object.entries(v).reverse())
            : v,
        );
        expect(fromUtf8(canonicalJson(turned))).toBe(text);
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});

describe("olpcJson", () => {
  it("escapes quotation marks and backslashes only, and sorts by code points", () => {
    const value = { "\u{1f600}": 1, "\uff5e": 2, a: ['"\\\n\u007fé', true, null, -0] };
    expect(fromUtf8(olpcJson(value))).toBe('{"a":["\\"\\\\\n\u007fé",true,null,0],"\uff5e":2,"\u{1f600}":1}');
  });

  it("has no fractions", () => {
    expect(code(() => olpcJson(0.5))).toBe("attestation/malformed");
    expect(code(() => olpcJson(2 ** 53))).toBe("attestation/malformed");
  });
});
