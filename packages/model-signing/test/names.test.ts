import { describe, expect, it } from "vitest";
import { checkNames } from "../src/names.ts";
import casefold from "./vectors/names/casefold.json" with { type: "json" };

const collide = (a: string, b: string): boolean => {
  try {
    checkNames([a, b]);
    return false;
  } catch (error) {
    expect((error as { code: string }).code).toBe("model-signing/name");
    expect((error as Error).message).toMatch(/expected to differ in more than case or form|expected once/);
    return true;
  }
};

describe("names that a file system may take for one", () => {
  it.each([
    ["\u03bb\u03cc\u03b3\u03bf\u03c2", "\u03bb\u03cc\u03b3\u03bf\u03c3", "the two small sigmas"],
    ["\u03c2", "\u03a3", "small and large sigma"],
    ["stra\u00dfe", "STRASSE", "sharp s"],
    ["\u1e9e", "ss", "large sharp s"],
    ["\u0130x", "i\u0307x", "I with a dot"],
    ["\u0131x", "Ix", "i without a dot"],
    ["\u212a", "k", "the sign of Kelvin"],
    ["\u212b", "\u00e5", "the sign of Angstrom"],
    ["\u017f", "S", "the long s"],
    ["\ufb01le", "FILE", "a ligature"],
    ["\u01c5", "\u01c6", "a title letter"],
    ["\u0390", "\u03b9\u0308\u0301", "composed and not"],
    ["e\u0301", "\u00c9", "composed, in the other case"],
    ["\u13a0", "\uab70", "Cherokee"],
    ["\u0149", "\u02bcN", "a letter with an apostrophe"],
    ["\u1fb3", "\u0391\u0399", "an iota below"],
    ["model.onnx", "Model.ONNX", "ASCII"],
  ])("%s and %s: %s", (a, b) => {
    expect(collide(a, b)).toBe(true);
    expect(collide(`d/${a}`, `D/${b}`)).toBe(true);
  });

  it.each([
    ["a", "b"],
    ["\u03c3", "\u03b4"],
    ["s", "ss"],
    ["i", "\u00ed"],
    ["\u00e9", "e"],
    ["d/a", "e/a"],
    ["\u6a21\u578b", "\u6a21\u5f62"],
  ])("%s and %s are two", (a, b) => {
    expect(collide(a, b)).toBe(false);
  });

  // Made by another implementation: vectors/names/casefold.py.
  it("every letter with what Unicode folds it to, and with its other forms", () => {
    const read = (text: string) => String.fromCodePoint(...text.split(" ").map((hex) => Number.parseInt(hex, 16)));
    const pairs = Object.entries(casefold.pairs);
    expect(pairs.length).toBe(1530);
    for (const [point, folded] of pairs) {
      const letter = read(point);
      for (const other of new Set([read(folded), letter.toLowerCase(), letter.toUpperCase()]))
        expect(other === letter || collide(letter, other), point).toBe(true);
    }
  });
});
