import { format } from "node:util";
import { afterAll, describe, expect, test, vi } from "vitest";
import { compile, publicExports, readmeExamples, withChecks, writeExamples } from "./helpers/examples.ts";

const exported = publicExports();
const examples = writeExamples([...exported.flatMap((each) => each.examples), ...readmeExamples()]);

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
  let checked = 0;
  const printed = vi.spyOn(console, "log").mockImplementation(() => {});
  vi.stubGlobal("checkExample", (expected: string, ...values: unknown[]) => {
    checked++;
    expect(format(...values)).toBe(expected);
  });
  afterAll(() => {
    printed.mockRestore();
    vi.unstubAllGlobals();
  });

  for (const { place, file, checks, browserOnly } of examples) {
    if (browserOnly) {
      test.skip(`${place} (browser only)`);
      continue;
    }
    test(place, { timeout: 120_000 }, async () => {
      checked = 0;
      await import(/* @vite-ignore */ file);
      expect(checked, "number of `// =>` that were reached").toBeGreaterThanOrEqual(checks);
    });
  }
});

describe("the marks in an example", () => {
  const example = (code: string) => ({ place: "here:1", code, browserOnly: false });

  test("become checks of what is printed", () => {
    const { code, checks } = withChecks(example("console.log(1, await two()); // => 1 2\n[3]; // => [ 3 ]\n"));
    expect(checks).toBe(2);
    expect(code).toContain('globalThis.checkExample("1 2", 1, await two());');
    expect(code).toContain('globalThis.checkExample("[ 3 ]", [3]);');
  });

  test("are refused where nothing would be checked", () => {
    expect(() => withChecks(example("const a = 1; // => 1\n"))).toThrow("here:1");
  });
});
