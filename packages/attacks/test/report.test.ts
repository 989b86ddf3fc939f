import type { RobustnessEvaluation } from "@parapet/attacks";
import { evaluateRobustness, fgsm, pgd, toCsv, toHtml } from "@parapet/attacks";
import { createRng, ndArray } from "@parapet/core";
import { affineModel } from "@parapet/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { picture } from "../src/evaluation/picture.ts";

const evil = `<script>alert(1)</script>"'&<img src=x onerror=alert(2)>`;
const model = affineModel({
  weights: [
    [0, 0, 0, 0],
    [1, 1, 1, 1],
  ],
  bias: [0, -2],
  inputShape: [2, 2],
});
const x = ndArray([0.55, 0.55, 0.55, 0.55, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1], [3, 2, 2]);
let evaluation: RobustnessEvaluation;

beforeAll(async () => {
  evaluation = await evaluateRobustness(model, x, [1, 1, 1], {
    attacks: {
      fgsm: fgsm({ epsilon: 0.1 }),
      [evil]: { attack: pgd({ epsilon: 0.1 }), parameters: { [evil]: evil } },
      "=1+2": fgsm({ epsilon: 0.01 }),
    },
    norm: "linf",
    epsilon: 0.1,
    rng: createRng(1),
    checkExamples: 2,
    subject: { name: evil, digest: { sha256: "0".repeat(64) } },
    versions: { [evil]: evil },
    command: evil,
  });
});

describe("the page", () => {
  it("shows the figures, the checks and the pictures, and needs nothing else", () => {
    const page = toHtml(evaluation, { x });
    expect(page.startsWith("<!doctype html>")).toBe(true);
    expect(page).toContain("66.7 %"); // clean
    expect(page).toContain("33.3 %"); // robust
    expect(page.match(/<svg /g)).toHaveLength(3);
    expect(page.match(/<details /g)).toHaveLength(evaluation.checks.length);
    expect(page.match(/<img alt="" src="data:image\/bmp;base64,[A-Za-z0-9+/=]+">/g)).toHaveLength(3);
    // Nothing is loaded, nothing runs.
    expect(page).not.toMatch(/(src|href)="(?!data:)/);
    expect(page).not.toMatch(/<script|@import|url\(/);
    expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/);
  });

  it("escapes all text of the caller, in the JSON's findings too", () => {
    const poisoned: RobustnessEvaluation = {
      ...evaluation,
      checks: [
        {
          name: evil,
          flag: true,
          says: evil,
          evidence: { [evil]: [evil, { [evil]: evil }] },
          advice: evil,
          adaptive: [],
        },
      ],
    };
    const page = toHtml(poisoned, { x, title: evil });
    expect(page).not.toContain("<script");
    expect(page).not.toContain("<img src=x");
    // Text in attributes does not end them.
    for (const tag of page.match(/<[a-z][^<>]*>/g)!) expect(tag).not.toMatch(/alert/);
    expect(page).toContain("&#60;script&#62;");
  });

  it("is written without checks, exhibits or anything broken, too", async () => {
    const bare = await evaluateRobustness(model, x, [0, 0, 1], {
      attacks: { fgsm: fgsm({ epsilon: 0.1 }) },
      norm: "linf",
      epsilon: 0.1,
      rng: createRng(1),
      checks: false,
    });
    const page = toHtml(bare, { x });
    expect(bare.clean.count).toBe(0);
    expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/);
    expect(page).toContain("None were run.");
    const flat = { ...evaluation, model: { ...evaluation.model, inputShape: [4] } };
    expect(toHtml(flat, { x: ndArray(x.data, [3, 4]) })).not.toContain("<img");
    expect(toHtml(flat, { x, images: { height: 2, width: 2, channels: 1 } })).toContain("<img");
    expect(() => toHtml(flat, { x, images: { height: 3, width: 2, channels: 1 } })).toThrow(
      '"images" expected 4 values',
    );
  });

  it("warns where a check is flagged", () => {
    const calm = toHtml(evaluation);
    const checks = [{ ...evaluation.checks[0]!, flag: true, says: "It looks away." }, ...evaluation.checks.slice(1)];
    const alarmed = toHtml({ ...evaluation, checks });
    expect(calm).not.toContain("should not be trusted");
    expect(alarmed).toContain("should not be trusted");
    expect(alarmed.indexOf("It looks away.")).toBeLessThan(alarmed.indexOf('class="fine"'));
  });
});

describe("pictures", () => {
  it("have the pixels they were given", () => {
    const uri = picture(3, 2, (y, column) => [10 * y, 20 * column, 7]);
    const bytes = Uint8Array.from(atob(uri.split(",")[1]!), (character) => character.charCodeAt(0));
    expect(String.fromCharCode(bytes[0]!, bytes[1]!)).toBe("BM");
    const view = new DataView(bytes.buffer);
    expect(view.getUint32(2, true)).toBe(bytes.length);
    expect([view.getInt32(18, true), view.getInt32(22, true), view.getUint16(28, true)]).toEqual([3, 2, 24]);
    const pixel = (y: number, column: number) => [...bytes.subarray(54 + (1 - y) * 12 + 3 * column).subarray(0, 3)];
    expect(pixel(0, 0)).toEqual([7, 0, 0]);
    expect(pixel(1, 2)).toEqual([7, 40, 10]);
  });
});

describe("the table", () => {
  it("has a line for each example and says what the evaluation says", () => {
    const table = toCsv(evaluation);
    const lines = table.split("\r\n");
    expect(lines).toHaveLength(5);
    expect(lines[4]).toBe("");
    expect(lines[1]!.startsWith("0,1,1,true,false,fgsm,0.0")).toBe(true);
    expect(lines[3]!.startsWith("2,1,0,false,false,,0,,0,0,")).toBe(true);
    expect(lines[3]!.endsWith(",,,,,")).toBe(true);
  });

  it("quotes what needs it, and lets no name become a formula", () => {
    const header = toCsv(evaluation).split("\r\n")[0]!;
    expect(header).toContain(`"${evil.replaceAll('"', '""')}: broken"`);
    expect(header).toContain("'=1+2: broken");
    expect(header).not.toMatch(/(^|,)=/);
  });
});
