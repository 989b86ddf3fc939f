import { format } from "node:util";
import { afterAll, describe, expect, test, vi } from "vitest";
import { compile, publicExports, readmeExamples, withChecks, writeExamples } from "./helpers/examples.ts";

const exported = publicExports();
const { written: examples, remove } = writeExamples([
  ...exported.flatMap((each) => each.examples),
  ...readmeExamples(),
]);
afterAll(remove);

describe("every public export", () => {
  for (const { title, isValue, documented, examples } of exported) {
    if (isValue) {
      test(`${title} has an example`, () => {
        expect(examples.length, "number of @example blocks marked as `ts`").toBeGreaterThan(0);
      });
    } else {
      test(`${title} says what it is`, () => {
        expect(documented, "has a comment").toBe(true);
      });
    }
  }
});

test("every example compiles", { timeout: 120_000 }, () => {
  expect(compile(examples.map(({ file }) => file))).toEqual([]);
});

describe("every example runs", () => {
  let said = 0;
  let printed: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...values) => printed.push(format(...values)));
  vi.stubGlobal("example", {
    starts() {
      printed = [];
    },
    says(text: string, value: unknown) {
      said++;
      expect(printed.length > 0 ? printed.join("\n") : format(value)).toBe(text);
    },
  });
  afterAll(() => {
    log.mockRestore();
    vi.unstubAllGlobals();
  });

  for (const { place, file, checks, browserOnly } of examples) {
    if (browserOnly) continue; // compiled above
    test(place, { timeout: 120_000 }, async () => {
      said = 0;
      await import(/* @vite-ignore */ file);
      expect(said, "number of `// =>` that were reached").toBeGreaterThanOrEqual(checks);
    });
  }
});

describe("the marks in an example", () => {
  const example = (code: string) => ({ place: "here:1", code, browserOnly: false });

  test("become checks of what is printed", () => {
    const { code, checks } = withChecks(example("console.log(1, await two()); // => 1 2\nif (a) [3]; // => [ 3 ]\n"));
    expect(checks).toBe(2);
    expect(code.split("\n")).toEqual([
      '{ example.starts(); example.says("1 2", console.log(1, await two())); } // => 1 2',
      'if (a) { example.starts(); example.says("[ 3 ]", [3]); } // => [ 3 ]',
      "",
    ]);
  });

  test("are refused where nothing would be checked", () => {
    expect(() => withChecks(example("const a = 1; // => 1\n"))).toThrow("here:1");
  });
});
